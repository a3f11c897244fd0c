import { useRef } from 'preact/hooks';
import { t, tError, type Key } from '../i18n';
import { clock, full } from '../i18n/time';
import { NetError } from '../net/error';
import type { Message } from '../proto';
import { react } from '../state/actions';
import { theClient } from '../state/chat';
import { convs } from '../state/convs';
import { previewOf } from '../state/describe';
import { groupOf } from '../state/groups';
import { me } from '../state/session';
import { cancelUpload, retryUpload } from '../state/uploads';
import { avatarOf, nameOf } from '../state/users';
import { Avatar, colourOf, IconButton } from './bits';
import { Icon, type IconName } from './icons';
import { MessageBody } from './MessageBody';
import type { Row } from './rows';

/** What a refused message says; `forbidden` in a direct conversation is the other's block. */
function refusal(code: string, group: boolean): string {
  if (code === 'forbidden') return t(group ? 'refused_group' : 'refused_direct');
  if (code === 'not_found') return t(group ? 'refused_group' : 'refused_unknown');
  return tError(new NetError(code));
}

type MessageRowData = Extract<Row, { type: 'message' }>;

export interface RowActions {
  reply: (m: Message) => void;
  menu: (m: Message, x: number, y: number, reactOnly?: boolean) => void;
  jump: (seq: number) => void;
  readers: (m: Message) => void;
  quoted: (seq: number) => Message | undefined;
}

/**
 * The conversation itself is no property: it changes with every message and watermark, and only the ticks need it.
 */
export function MessageRow({ row, conv, group, on }: { row: MessageRowData; conv: string; group: boolean; on: RowActions }) {
  const { m, out, up } = row;
  const mine = m.from === me.value.user;
  const stored = !out && !up;
  const failed = out?.state === 'failed' || !!up?.error;
  const hold = useHold((x, y) => stored && on.menu(m, x, y));
  const bare = m.kind === 'image' && !m.body?.text && !m.recalled && !m.reply_to;
  const mentioned = !mine && (m.mentions?.includes(me.value.user) || m.mentions?.includes('all'));
  return (
    <div class={`row ${mine ? 'mine' : 'theirs'} ${row.first ? 'first' : ''} ${row.last ? 'last' : ''} ${failed ? 'failed' : ''}`}
      data-key={row.key} data-seq={stored ? m.seq : undefined} role="listitem">
      {group && !mine && <span class="row-avatar">{row.last && <Avatar name={nameOf(m.from)} seed={m.from} file={avatarOf(m.from)} size={34} />}</span>}
      <div class="bubble-wrap">
        <div class={`bubble ${bare ? 'bare' : ''} ${m.recalled ? 'recalled' : ''} ${mentioned ? 'mentioned' : ''}`} {...hold}
          onContextMenu={(e) => {
            if (!stored || (e.target as HTMLElement).closest('a')) return;
            e.preventDefault();
            on.menu(m, e.clientX, e.clientY);
          }}
          onDblClick={() => stored && !m.recalled && on.reply(m)}>
          {group && !mine && row.first && <span class={`sender name-${colourOf(m.from)}`}>{nameOf(m.from)}</span>}
          {m.recalled
            ? <span class="text odd"><Icon name="undo" size={16} /> {mine ? t('recalled_you') : t('recalled_by', { name: nameOf(m.from) })}</span>
            : (
              <>
                {m.reply_to && <Quote seq={m.reply_to} on={on} />}
                <MessageBody m={m} up={up} />
              </>
            )}
          <span class="meta">
            {m.edited_at && !m.recalled ? <span>{t('edited')}</span> : null}
            <time title={full(m.sent_at)}>{clock(m.sent_at)}</time>
            {mine && !m.recalled && <Status row={row} conv={conv} on={on} />}
          </span>
        </div>
        <Reactions m={m} />
        {failed && (
          <div class="failed-line" role="alert">
            <Icon name="alert" size={16} />
            <span>{t('st_failed')}: {refusal(out?.error ?? up?.error ?? 'internal', group)}</span>
            <button type="button" class="link" onClick={() => (out ? theClient().outbox.retry(out.client_id) : retryUpload(up!.id))}>{t('retry')}</button>
            <button type="button" class="link" onClick={() => (out ? theClient().outbox.remove(out.client_id) : cancelUpload(up!.id))}>{t('delete')}</button>
          </div>
        )}
      </div>
      {stored && !m.recalled && (
        <div class="row-tools">
          <IconButton icon="smile" size={18} label={t('react')} onClick={(e) => on.menu(m, e.clientX, e.clientY, true)} />
          <IconButton icon="reply" size={18} label={t('reply')} onClick={() => on.reply(m)} />
          <IconButton icon="more" size={18} label={t('more')} onClick={(e) => on.menu(m, e.clientX, e.clientY)} />
        </div>
      )}
    </div>
  );
}

function Quote({ seq, on }: { seq: number; on: RowActions }) {
  const m = on.quoted(seq);
  return (
    <button type="button" class="quote" aria-label={t('jump_to_quote')} onClick={() => on.jump(seq)}>
      <b class={m ? `name-${colourOf(m.from)}` : ''}>{m ? (m.from === me.value.user ? t('you') : nameOf(m.from)) : t('original_gone')}</b>
      {m && <span>{previewOf(m)}</span>}
    </button>
  );
}

function Reactions({ m }: { m: Message }) {
  const list = m.reactions ?? [];
  if (list.length === 0) return null;
  return (
    <div class="reactions">
      {list.map((r) => (
        <button type="button" key={r.emoji} class={`reaction ${r.users?.includes(me.value.user) ? 'on' : ''}`}
          title={(r.users ?? []).map(nameOf).join(t('list_comma'))} aria-label={`${r.emoji} ${(r.users ?? []).length}`}
          aria-pressed={r.users?.includes(me.value.user)} onClick={() => void react(m, r.emoji)}>
          <span>{r.emoji}</span><b>{(r.users ?? []).length}</b>
        </button>
      ))}
    </div>
  );
}

function Status({ row, conv, on }: { row: MessageRowData; conv: string; on: RowActions }) {
  const { m, out, up } = row;
  const c = convs.value.get(conv);
  if (out || up) {
    if (out?.state === 'failed' || up?.error) return <Tick icon="alert" state="st_failed" />;
    return <Tick icon="clock" state={out?.state === 'queued' ? 'st_waiting' : 'st_sending'} />;
  }
  if (c?.kind !== 'group') {
    if (!c || c.peer === me.value.user) return <Tick icon="check" state="st_sent" />;
    if ((c.peer_read ?? 0) >= m.seq) return <Tick icon="checks" state="st_read" />;
    if ((c.peer_delivered ?? 0) >= m.seq) return <Tick icon="checks" state="st_delivered" />;
    return <Tick icon="check" state="st_sent" />;
  }
  const others = groupOf(c.conv).value.members.filter((x) => x.user !== me.value.user);
  const read = others.filter((x) => x.read >= m.seq).length;
  if (read === 0) return <Tick icon={others.some((x) => x.delivered >= m.seq) ? 'checks' : 'check'} state={others.some((x) => x.delivered >= m.seq) ? 'st_delivered' : 'st_sent'} />;
  const text = read === others.length ? t('read_by_all') : t('read_by_n', { n: read });
  return (
    <button type="button" class="tick read read-by" data-read={read} aria-label={text} title={text} onClick={() => on.readers(m)}>
      <Icon name="checks" size={16} />{read}
    </button>
  );
}

function Tick({ icon, state }: { icon: IconName; state: Key }) {
  return <span class={`tick ${state === 'st_read' ? 'read' : ''} ${state === 'st_failed' ? 'bad' : ''}`} data-status={state} role="img" aria-label={t(state)} title={t(state)}><Icon name={icon} size={16} /></span>;
}

/** A long touch opens the menu where the browser sends no contextmenu event (iOS). */
function useHold(f: (x: number, y: number) => void) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const stop = () => clearTimeout(timer.current);
  return {
    onTouchStart: (e: TouchEvent) => {
      const p = e.touches[0]!;
      stop();
      timer.current = setTimeout(() => f(p.clientX, p.clientY), 480);
    },
    onTouchMove: stop, onTouchEnd: stop, onTouchCancel: stop,
  };
}
