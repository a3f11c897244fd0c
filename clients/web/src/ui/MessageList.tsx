// The scrolling part of a conversation. It keeps what is looked at in place when older messages come in above, and
// stays at the bottom while one is there.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { day, now } from '../i18n/time';
import type { ConvState } from '../proto';
import { outbox } from '../state/chat';
import { readHere, slotOf } from '../state/convs';
import { describeOperation, titleOf } from '../state/describe';
import { markRead } from '../state/marks';
import { looking } from '../state/notify';
import { openRoom, type Room } from '../state/rooms';
import { device, me } from '../state/session';
import { uploads } from '../state/uploads';
import { Empty, Spinner } from './bits';
import { Icon } from './icons';
import { MessageRow, type RowActions } from './MessageRow';
import { buildRows, reuseRows, type Row } from './rows';

const nearBottom = 80;
const nearTop = 500;

export function MessageList({ room, c, on, jumpRef }: {
  room: Room | null; c: ConvState; on: Omit<RowActions, 'jump' | 'quoted'>; jumpRef: { current: ((seq: number) => void) | null };
}) {
  const box = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const stick = useRef(true);
  const anchor = useRef<{ key: string; top: number } | null>(null);
  const placed = useRef(false);
  const loading = useRef(false);
  const [away, setAway] = useState(false);
  const [unreadAfter] = useState(() => (c.unread > 0 ? c.read_seq : -1));
  const slot = slotOf(c);

  const messages = room?.messages.value;
  const out = outbox.value;
  const up = uploads.value;
  const before = useRef<Row[]>([]);
  const rows = useMemo(() => reuseRows(before.current, buildRows({
    messages: messages ?? [],
    out: out.filter((i) => i.slot === slot),
    uploads: up.filter((u) => u.slot === slot),
    self: me.value.user, device, unreadAfter,
  })), [messages, out, up, slot]);
  before.current = rows;
  const lastKey = rows.at(-1)?.key;
  const lastMine = useRef<string | undefined>(undefined);
  const ready = room === null || room.state.value === 'ready' || room.timeline.loaded;

  const remember = () => {
    const el = box.current!;
    const top = el.scrollTop;
    anchor.current = null;
    for (const child of inner.current!.querySelectorAll<HTMLElement>('[data-key]')) {
      if (child.offsetTop + child.offsetHeight > top) {
        anchor.current = { key: child.dataset.key!, top: child.offsetTop - top };
        break;
      }
    }
  };

  const older = () => {
    if (!room || !box.current || loading.current || !room.older.peek() || box.current.scrollTop > nearTop) return;
    loading.current = true;
    // The layout effect below puts the anchor back before this is done.
    room.timeline.back().catch(() => {}).finally(() => {
      loading.current = false;
      setTimeout(older, 50); // a short page may leave the top still near
    });
  };

  const noteRead = () => {
    if (!room?.timeline.loaded || !box.current || !placed.current || !looking()) return;
    let seq = room.timeline.top;
    if (!stick.current) {
      const bottom = box.current!.scrollTop + box.current!.clientHeight;
      const seen = [...inner.current!.querySelectorAll<HTMLElement>('[data-seq]')].findLast((e) => e.offsetTop + 20 < bottom);
      seq = Number(seen?.dataset.seq ?? 0);
    }
    const rest = room.messages.peek().filter((m) => m.seq > seq && m.from !== me.peek().user && m.kind !== 'operation').length;
    readHere(c.conv, seq, rest);
    if (seq > 0) markRead(c.conv, seq);
  };

  const onScroll = () => {
    const el = box.current!;
    stick.current = el.scrollHeight - el.scrollTop - el.clientHeight < nearBottom;
    setAway(!stick.current && el.scrollHeight - el.scrollTop - el.clientHeight > 240);
    remember();
    older();
    noteRead();
  };

  const toBottom = (smooth = false) => {
    const el = box.current; // null between leaving and the observer's last call
    if (!el) return;
    el.scrollTo({ top: el.scrollHeight, behavior: smooth ? 'smooth' : 'instant' });
  };

  useLayoutEffect(() => {
    const el = box.current!;
    if (!placed.current) {
      if (!ready) return;
      placed.current = true;
      const divider = el.querySelector<HTMLElement>('.unread-line');
      if (divider) {
        el.scrollTop = divider.offsetTop - 80;
        stick.current = el.scrollHeight - el.scrollTop - el.clientHeight < nearBottom;
      } else toBottom();
      remember();
      older();
      noteRead();
      return;
    }
    const last = rows.at(-1);
    const wroteNow = last?.type === 'message' && last.m.from === me.peek().user && (last.out || last.up) && last.key !== lastMine.current;
    if (wroteNow) lastMine.current = last.key;
    if (stick.current || wroteNow) toBottom();
    else if (anchor.current) {
      const child = el.querySelector<HTMLElement>(`[data-key="${CSS.escape(anchor.current.key)}"]`);
      if (child) el.scrollTop = child.offsetTop - anchor.current.top;
    }
    noteRead();
  }, [rows, ready]);

  useEffect(() => {
    const keep = new ResizeObserver(() => { if (stick.current && placed.current) toBottom(); });
    keep.observe(box.current!);
    keep.observe(inner.current!);
    const back = () => noteRead();
    addEventListener('focus', back);
    document.addEventListener('visibilitychange', back);
    return () => {
      keep.disconnect();
      removeEventListener('focus', back);
      document.removeEventListener('visibilitychange', back);
    };
  }, [room]);

  const jump = async (seq: number) => {
    const find = () => inner.current?.querySelector<HTMLElement>(`[data-seq="${seq}"]`);
    for (let i = 0; i < 30 && !find() && room?.timeline.older; i++) {
      await room.timeline.back().catch(() => {});
      await new Promise((r) => setTimeout(r));
    }
    const el = find();
    if (!el) return;
    stick.current = false;
    el.scrollIntoView({ block: 'center', behavior: 'smooth' });
    el.classList.remove('flash');
    void el.offsetWidth; // starts the animation again
    el.classList.add('flash');
  };
  jumpRef.current = (seq) => void jump(seq);
  // One object as long as the room is the same: rows whose properties stay are not drawn again.
  const actions = useMemo<RowActions>(() => ({
    ...on, jump: (seq) => jumpRef.current?.(seq), quoted: (seq) => room?.timeline.get(seq),
  }), [room, on]);

  return (
    <div class="wallpaper list-box">
      <div class="list" ref={box} onScroll={onScroll} tabIndex={0} role="log" aria-live="polite" aria-label={t('message')}>
        <div class="list-inner" ref={inner} role="list">
          {room?.older.value && <div class="older"><Spinner /></div>}
          {!ready && room?.state.value === 'loading' && <div class="center-box"><Spinner /></div>}
          {!ready && room?.state.value === 'failed' && (
            <Empty icon="alert" title={t('load_failed')}><button type="button" class="button" onClick={() => openRoom(room)}>{t('try_again')}</button></Empty>
          )}
          {ready && rows.length === 0 && <Greeting c={c} />}
          {rows.map((row) => {
            switch (row.type) {
              case 'day': return <div key={row.key} class="day" role="separator"><span>{now.value ? day(row.at) : ''}</span></div>;
              case 'unread': return <div key={row.key} class="unread-line" role="separator"><span>{t('new_messages')}</span></div>;
              case 'system': return <div key={row.key} class="system" data-key={row.key} data-seq={row.m.seq}><span>{row.m.body?.operation && describeOperation(row.m.body.operation, row.m.from)}</span></div>;
              default: return <MessageRow key={row.key} row={row} conv={c.conv} group={c.kind === 'group'} on={actions} />;
            }
          })}
        </div>
      </div>
      {(away || (c.unread > 0 && lastKey && !stick.current)) && (
        <button type="button" class="to-bottom" aria-label={t('to_bottom')} title={t('to_bottom')} onClick={() => { toBottom(true); }}>
          <Icon name="down" size={24} />{c.unread > 0 && <span class="badge">{c.unread}</span>}
        </button>
      )}
    </div>
  );
}

function Greeting({ c }: { c: ConvState }) {
  if (c.peer === me.value.user) return <Empty icon="pen" title={t('notes')} hint={t('notes_hint')} />;
  return <Empty icon="smile" title={t('say_hello')} hint={c.peer ? t('say_hello_hint', { name: titleOf(c) }) : t('say_hello_group')} />;
}
