import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { t, type Key } from '../i18n';
import { brief } from '../i18n/time';
import type { ConvState } from '../proto';
import { forgetChat, outbox } from '../state/chat';
import { asking, loadContacts } from '../state/contacts';
import { slotOf, sorted, synced } from '../state/convs';
import { avatarSeed, previewOf, titleOf } from '../state/describe';
import { drafts } from '../state/drafts';
import { typing } from '../state/live';
import { go, route, type Route } from '../state/route';
import { logout, me } from '../state/session';
import { avatarOf, knownName, nameOf } from '../state/users';
import { Avatar, Empty, IconButton, Spinner, useConfirm } from './bits';
import { Icon, type IconName } from './icons';
import { NewChat } from './NewChat';
import { useWindow } from './window';
import { LinkBar } from './Shell';

export function Sidebar() {
  const q = useSignal('');
  const [dialog, setDialog] = useState<'chat' | 'group' | null>(null);
  const box = useRef<HTMLElement>(null);
  const above = useRef<HTMLDivElement>(null);
  const below = useRef<HTMLDivElement>(null);
  const list = sorted.value.filter((c) => !q.value || matches(c, q.value));
  const view = useWindow(box, list.length);
  useLayoutEffect(() => {
    if (above.current) above.current.style.height = `${view.from * view.height}px`;
    if (below.current) below.current.style.height = `${Math.max(0, list.length - view.to) * view.height}px`;
  });
  return (
    <aside class="sidebar" aria-label={t('chats')}>
      <header class="side-head">
        <MainMenu onNewGroup={() => setDialog('group')} onNewChat={() => setDialog('chat')} />
        <label class="search">
          <Icon name="search" size={18} />
          <input type="search" placeholder={t('search_chats')} aria-label={t('search_chats')} value={q.value}
            onInput={(e) => { q.value = e.currentTarget.value; }}
            onKeyDown={(e) => { if (e.key === 'Escape') q.value = ''; }} />
        </label>
        <IconButton icon="pen" label={t('new_chat')} class="accent" onClick={() => setDialog('chat')} />
      </header>
      <LinkBar />
      <nav class="conv-list" ref={box} aria-label={t('chats')} onKeyDown={moveInList} onScroll={view.measure}>
        {list.length > 0 && <div class="conv-space" ref={above} />}
        {list.slice(view.from, view.to).map((c) => <ConvItem key={c.conv} c={c} />)}
        {list.length > 0 && <div class="conv-space" ref={below} />}
        {list.length === 0 && emptyList()}
      </nav>
      {dialog && <NewChat group={dialog === 'group'} onClose={() => setDialog(null)} />}
    </aside>
  );

  function emptyList() {
    if (!synced.value) return <div class="center-box"><Spinner /></div>;
    if (q.value) return <Empty title={t('no_match', { q: q.value })} />;
    return (
      <Empty icon="send" title={t('no_chats')} hint={t('no_chats_hint')}>
        <button type="button" class="button" onClick={() => setDialog('chat')}>{t('start_chat')}</button>
      </Empty>
    );
  }
}

function matches(c: ConvState, q: string): boolean {
  const wanted = q.trim().toLowerCase();
  const title = c.peer && c.peer !== me.value.user ? knownName(c.peer) : titleOf(c); // thousands are looked through
  return title.toLowerCase().includes(wanted) || (c.peer ?? '').includes(wanted);
}

function moveInList(e: KeyboardEvent): void {
  if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return;
  const here = (e.target as HTMLElement).closest('.conv');
  const to = e.key === 'ArrowDown' ? here?.nextElementSibling : here?.previousElementSibling;
  if (to instanceof HTMLElement) {
    e.preventDefault();
    to.focus();
  }
}

function isOpen(c: ConvState): boolean {
  const r = route.value;
  return (r.page === 'conv' && r.conv === c.conv) || (r.page === 'user' && r.user === c.peer);
}

function ConvItem({ c }: { c: ConvState }) {
  const title = titleOf(c);
  const open = isOpen(c);
  return (
    <button type="button" class={`conv ${open ? 'open' : ''} ${c.unread ? 'has-unread' : ''}`} data-conv={c.conv} aria-current={open ? 'true' : undefined}
      onClick={() => go({ page: 'conv', conv: c.conv })}>
      <Avatar name={title} seed={avatarSeed(c)} size={50} user={c.peer} file={c.avatar || (c.peer ? avatarOf(c.peer) : undefined)}
        icon={c.peer === me.value.user ? 'pen' : undefined} />
      <span class="conv-main">
        <span class="conv-top">
          {c.kind === 'group' && <Icon name="people" size={15} />}
          <span class="conv-title">{title}</span>
          <OwnTick c={c} />
          {c.last_message && <time class="conv-time">{brief(c.last_message.sent_at)}</time>}
        </span>
        <span class="conv-bottom">
          <span class="conv-preview"><Preview c={c} open={open} /></span>
          {(c.mentioned ?? 0) > 0 && c.unread > 0 && <span class="badge at" title={t('mentioned_you')}>@</span>}
          {c.unread > 0 && <span class="badge" aria-label={t('unread_n', { n: c.unread })}>{c.unread > 999 ? '999+' : c.unread}</span>}
        </span>
      </span>
    </button>
  );
}

function OwnTick({ c }: { c: ConvState }) {
  const m = c.last_message;
  if (!m || m.from !== me.value.user || m.kind === 'operation' || c.kind !== 'direct' || c.peer === me.value.user) return null;
  const read = (c.peer_read ?? 0) >= m.seq;
  const delivered = read || (c.peer_delivered ?? 0) >= m.seq;
  return <span class={`tick ${read ? 'read' : ''}`}><Icon name={delivered ? 'checks' : 'check'} size={16} /></span>;
}

function Preview({ c, open }: { c: ConvState; open: boolean }) {
  const writing = typing.value.get(c.conv);
  if (writing?.size) {
    const who = [...writing.keys()];
    const text = c.kind === 'direct' ? t('typing') : who.length === 1 ? t('typing_one', { name: nameOf(who[0]!) }) : t('typing_many', { n: who.length });
    return <span class="accent-text">{text}</span>;
  }
  const slot = slotOf(c);
  const draft = drafts.value[slot];
  if (draft?.text && !open) return <><span class="draft">{t('draft')}</span> {draft.text}</>;
  const waiting = outbox.value.findLast((i) => i.slot === slot);
  if (waiting) return <>{waiting.state === 'failed' && <span class="draft">! </span>}{waiting.body.text || waiting.body.file?.name}</>;
  const m = c.last_message;
  if (!m) return null;
  const text = previewOf(m);
  if (c.kind === 'group' && m.kind !== 'operation') {
    return <><span class="conv-from">{m.from === me.value.user ? t('you') : nameOf(m.from)}: </span>{text}</>;
  }
  return <>{text}</>;
}

function MainMenu({ onNewChat, onNewGroup }: { onNewChat: () => void; onNewGroup: () => void }) {
  const [open, setOpen] = useState(false);
  const [ask, question] = useConfirm();
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    loadContacts().catch(() => {});
    const close = (e: Event) => { if (!ref.current?.contains(e.target as Node)) setOpen(false); };
    addEventListener('pointerdown', close);
    return () => removeEventListener('pointerdown', close);
  }, [open]);
  const entry = (icon: IconName, label: Key, f: () => void, count = 0) => (
    <button type="button" role="menuitem" onClick={() => { setOpen(false); f(); }}><Icon name={icon} size={20} /><span class="grow">{t(label)}</span>{count > 0 && <span class="badge">{count}</span>}</button>
  );
  const page = (p: 'settings' | 'contacts' | 'admin') => () => go({ page: p } as Route);
  return (
    <div class="menu-anchor" ref={ref} onKeyDown={(e) => { if (e.key === 'Escape') setOpen(false); }}>
      <IconButton icon="menu" label={asking.value ? `${t('menu')} · ${t('requests')}: ${asking.value}` : t('menu')} class={asking.value ? 'has-news' : ''} aria-haspopup="menu" aria-expanded={open} onClick={() => setOpen(!open)} />
      {open && (
        <div class="menu pop-left" role="menu">
          <button type="button" role="menuitem" class="menu-me" onClick={() => { setOpen(false); page('settings')(); }}>
            <Avatar name={me.value.name || me.value.user} seed={me.value.user} file={me.value.avatar} size={40} />
            <span><b>{me.value.name || me.value.user}</b><small>@{me.value.user}</small></span>
          </button>
          <hr />
          {entry('pen', 'new_chat', onNewChat)}
          {entry('people', 'new_group', onNewGroup)}
          {entry('person', 'contacts', page('contacts'), asking.value)}
          {entry('file', 'notes', () => go({ page: 'user', user: me.value.user }))}
          <hr />
          {entry('gear', 'settings', page('settings'))}
          {me.value.admin && entry('shield', 'admin', page('admin'))}
          {entry('exit', 'logout', () => ask({
            title: t('logout_ask'), hint: t('logout_unsent'), yes: t('logout'), danger: true,
            onYes: () => { forgetChat(); go({ page: 'home' }, true); void logout(); },
          }))}
        </div>
      )}
      {question}
    </div>
  );
}
