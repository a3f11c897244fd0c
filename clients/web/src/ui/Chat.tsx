// One conversation: header, messages, composer, and the information panel beside them.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { seen } from '../i18n/time';
import type { ConvState, Message } from '../proto';
import { change } from '../state/actions';
import { alsoWatch, linkState } from '../state/chat';
import { convs, directWith, slotOf, synced } from '../state/convs';
import { avatarSeed, titleOf } from '../state/describe';
import { drafts, setDraft } from '../state/drafts';
import { groupOf } from '../state/groups';
import { presence, typing } from '../state/live';
import { goHome } from '../state/route';
import { openRoom, roomOf } from '../state/rooms';
import { me } from '../state/session';
import { avatarOf, nameOf, want } from '../state/users';
import { Avatar, Empty, IconButton, Spinner, useConfirm } from './bits';
import { Composer } from './Composer';
import { InfoPanel } from './InfoPanel';
import { MessageList } from './MessageList';
import { MessageMenu, type MenuAt } from './MessageMenu';
import { ReadBy } from './ReadBy';
import { LinkBar } from './Shell';

export function Chat({ conv, user }: { conv?: string; user?: string }) {
  const known = conv ? convs.value.get(conv) : directWith(user!);
  useEffect(() => { if (user) { want(user); alsoWatch(`@${user}`, [user]); } }, [user]);
  if (known) return <OpenChat key={slotOf(known)} c={known} />;
  if (user && synced.value) return <OpenChat key={`@${user}`} c={notYet(user)} />;
  return (
    <div class="wallpaper fill">
      {!synced.value ? <Spinner /> : (
        <Empty icon="people" title={t('not_member')} hint={t('not_member_hint')}>
          {/* The address of an open group is its invitation. */}
          <button type="button" class="button" onClick={() => void change('join', { conv: conv! })}>{t('join')}</button>
        </Empty>
      )}
    </div>
  );
}

/** A direct conversation before its first message. */
function notYet(user: string): ConvState {
  return { conv: '', kind: 'direct', peer: user, last_seq: 0, read_seq: 0, delivered_seq: 0, unread: 0, version: 0, title: nameOf(user) };
}

function OpenChat({ c }: { c: ConvState }) {
  const slot = slotOf(c);
  const room = useMemo(() => (c.conv ? roomOf(c.conv) : null), [c.conv]);
  const [menu, setMenu] = useState<MenuAt | null>(null);
  const [readers, setReaders] = useState<Message | null>(null);
  const [info, setInfo] = useState(false);
  const [editing, setEditing] = useState<Message | null>(null);
  const [dropping, setDropping] = useState(false);
  const [files, setFiles] = useState<File[]>([]);
  const [ask, question] = useConfirm();
  const jumpRef = useRef<((seq: number) => void) | null>(null);
  const input = useRef<HTMLTextAreaElement>(null);
  const online = linkState.value === 'online';
  useEffect(() => { if (room && online) openRoom(room); }, [room, online]);

  const draft = drafts.value[slot];
  const replyTo = draft?.reply && room ? room.timeline.get(draft.reply) : undefined;
  const focus = () => setTimeout(() => input.current?.focus());
  const reply = (m: Message | null) => {
    setEditing(null);
    setDraft(slot, { text: drafts.peek()[slot]?.text ?? '', reply: m?.seq });
    focus();
  };
  const on = useMemo(() => ({
    reply, readers: setReaders,
    menu: (m: Message, x: number, y: number, reactOnly?: boolean) => setMenu({ m, x, y, reactOnly }),
  }), [slot]);
  const startEdit = (m: Message | null) => { setEditing(m); focus(); };
  const editLast = () => {
    const last = room?.messages.peek().findLast((m) => m.from === me.value.user && m.kind === 'text' && !m.recalled);
    if (last) startEdit(last);
  };

  return (
    <div class={`chat ${info ? 'with-info' : ''}`}>
      <section class="chat-main" aria-label={titleOf(c)}
        onDragEnter={(e) => { if (e.dataTransfer?.types.includes('Files')) setDropping(true); }}
        onDragOver={(e) => e.preventDefault()}
        onDragLeave={(e) => { if (e.currentTarget === e.target || !e.relatedTarget) setDropping(false); }}
        onDrop={(e) => {
          e.preventDefault();
          setDropping(false);
          setFiles([...files, ...(e.dataTransfer?.files ?? [])]);
        }}>
        <ChatHead c={c} info={info} onInfo={() => setInfo(!info)} />
        <LinkBar />
        <MessageList room={room} c={c} jumpRef={jumpRef} on={on} />
        <Composer key={slot} c={c} slot={slot} input={input} files={files} setFiles={setFiles} editing={editing} reply={replyTo}
          onCancelReply={() => reply(null)} onEditing={startEdit} onEditLast={editLast} onJump={(seq) => jumpRef.current?.(seq)} />
        {dropping && <div class="drop">{t('drop_here')}</div>}
      </section>
      {info && <InfoPanel c={c} onClose={() => setInfo(false)} />}
      {menu && (
        <MessageMenu at={menu} c={c} onClose={() => setMenu(null)} onReply={reply} onEdit={startEdit} onReaders={setReaders}
          onRecall={(f) => ask({ title: t('recall_ask'), hint: t('recall_hint'), yes: t('recall'), danger: true, onYes: f })} />
      )}
      {readers && <ReadBy m={readers} onClose={() => setReaders(null)} />}
      {question}
    </div>
  );
}

function ChatHead({ c, info, onInfo }: { c: ConvState; info: boolean; onInfo: () => void }) {
  const title = titleOf(c);
  return (
    <header class="chat-head">
      <IconButton icon="back" label={t('back')} class="only-phone" onClick={goHome} />
      <button type="button" class="chat-who" onClick={onInfo} aria-expanded={info} aria-label={t(c.kind === 'group' ? 'group_info' : 'chat_info')}>
        <Avatar name={title} seed={avatarSeed(c)} size={42} user={c.peer} file={c.avatar || (c.peer ? avatarOf(c.peer) : undefined)} icon={c.peer === me.value.user ? 'pen' : undefined} />
        <span class="chat-names">
          <b>{title}</b>
          <Subtitle c={c} />
        </span>
      </button>
      <IconButton icon="info" label={t(c.kind === 'group' ? 'group_info' : 'chat_info')} aria-pressed={info} onClick={onInfo} />
    </header>
  );
}

function Subtitle({ c }: { c: ConvState }) {
  const writing = typing.value.get(c.conv);
  if (writing?.size) {
    const who = [...writing.keys()];
    const text = c.kind === 'direct' ? t('typing') : who.length === 1 ? t('typing_one', { name: nameOf(who[0]!) }) : t('typing_many', { n: who.length });
    return <small class="accent-text typing" aria-live="polite">{text}<i /><i /><i /></small>;
  }
  if (c.kind === 'group') {
    const n = groupOf(c.conv).value.members.length || c.members || 0;
    return <small>{n > 0 ? t('n_members', { n }) : ''}</small>;
  }
  if (c.peer === me.value.user) return null;
  const p = presence.value.get(c.peer!);
  return <small class={p?.state === 'online' ? 'accent-text' : ''}>{seen(p)}</small>;
}
