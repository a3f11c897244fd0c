// What there is to know about a conversation, and for a group what may be changed.
import { useState } from 'preact/hooks';
import { t, type Key } from '../i18n';
import { seen } from '../i18n/time';
import type { ConvState, Member, Settings } from '../proto';
import { change, copy } from '../state/actions';
import { block, contactState, requestContact } from '../state/contacts';
import { isAdminOf } from '../state/convs';
import { avatarSeed, titleOf } from '../state/describe';
import { groupOf } from '../state/groups';
import { presence } from '../state/live';
import { go, goHome } from '../state/route';
import { me } from '../state/session';
import { avatarOf, nameOf, users } from '../state/users';
import { Avatar, Field, IconButton, Modal, Spinner, Switch, useConfirm, type Question } from './bits';
import { Icon } from './icons';
import { useChosen, UserSearch } from './NewChat';

export function InfoPanel({ c, onClose }: { c: ConvState; onClose: () => void }) {
  const [ask, question] = useConfirm();
  return (
    <aside class="info" aria-label={t(c.kind === 'group' ? 'group_info' : 'chat_info')}>
      <header class="info-head">
        <IconButton icon="close" label={t('close')} onClick={onClose} />
        <h2>{t(c.kind === 'group' ? 'group_info' : 'chat_info')}</h2>
      </header>
      <div class="info-body">
        {c.kind === 'group' ? <GroupInfo c={c} ask={ask} /> : <PersonInfo c={c} ask={ask} />}
      </div>
      {question}
    </aside>
  );
}

function PersonInfo({ c, ask }: { c: ConvState; ask: (q: Question) => void }) {
  const user = c.peer!;
  const name = titleOf(c);
  const self = user === me.value.user;
  const state = contactState(user);
  return (
    <>
      <div class="info-top">
        <Avatar name={name} seed={user} size={96} file={avatarOf(user)} user={user} />
        <h3>{name}</h3>
        <p class="muted">@{user}</p>
        {!self && <p class="muted">{seen(presence.value.get(user))}</p>}
      </div>
      {users.value.get(user)?.about && <div class="card"><span class="field-label">{t('about')}</span><p>{users.value.get(user)!.about}</p></div>}
      {!self && (
        <div class="card actions">
          {!state && <button type="button" onClick={() => void requestContact(user, '')}><Icon name="plus" size={20} />{t('add_contact')}</button>}
          {state === 'blocked'
            ? <button type="button" onClick={() => void block(user, false)}><Icon name="shield" size={20} />{t('unblock')}</button>
            : <button type="button" class="danger" onClick={() => ask({ title: t('block_ask', { name }), yes: t('block'), danger: true, onYes: () => void block(user, true) })}><Icon name="shield" size={20} />{t('block')}</button>}
        </div>
      )}
    </>
  );
}

function GroupInfo({ c, ask }: { c: ConvState; ask: (q: Question) => void }) {
  const g = groupOf(c.conv).value;
  const [inviting, setInviting] = useState(false);
  const [title, setTitle] = useState<string | null>(null);
  const admin = isAdminOf(c) || isAdminOf(g.info);
  const settings: Settings = g.info?.settings ?? {};
  const conv = c.conv;
  const name = titleOf(c);
  const mayInvite = admin || !!settings.members_invite;
  const set = (s: Partial<Settings>) => void change('update', { conv, settings: { ...settings, ...s } });
  const rank = (m: Member) => (m.role === 'owner' ? 0 : m.role === 'admin' ? 1 : 2);
  const list = [...g.members].sort((a, b) => rank(a) - rank(b) || (a.name || a.user).localeCompare(b.name || b.user));
  const leave = () => ask({
    title: t('leave_ask', { name }), hint: c.role === 'owner' && g.members.length > 1 ? t('leave_owner') : undefined, yes: t('leave'), danger: true,
    onYes: () => void change('leave', { conv }).then((ok) => { if (ok) goHome(); }),
  });

  return (
    <>
      <div class="info-top">
        <Avatar name={name} seed={avatarSeed(c)} size={96} file={c.avatar} />
        {title === null
          ? <h3>{name}{admin && <IconButton icon="pen" size={16} label={t('rename')} onClick={() => setTitle(c.title ?? '')} />}</h3>
          : (
            <form class="rename" onSubmit={(e) => {
              e.preventDefault();
              const next = title.trim();
              setTitle(null);
              if (next && next !== c.title) void change('update', { conv, title: next, settings });
            }}>
              <Field label={t('group_title')} name="title" autofocus maxLength={100} value={title} onInput={(e: { currentTarget: HTMLInputElement }) => setTitle(e.currentTarget.value)} />
              <button class="button small">{t('save')}</button>
            </form>
          )}
        <p class="muted">{t('n_members', { n: g.members.length || c.members || 0 })}</p>
      </div>
      {settings.about && <div class="card"><span class="field-label">{t('about')}</span><p>{settings.about}</p></div>}
      {admin && g.info && (
        <div class="card">
          <span class="field-label">{t('group_settings')}</span>
          <Switch label={t('set_members_invite')} on={!!settings.members_invite} onChange={(on) => set({ members_invite: on })} />
          <Switch label={t('set_history')} on={!!settings.history} onChange={(on) => set({ history: on })} />
          <Switch label={t('set_open')} on={!!settings.open} onChange={(on) => set({ open: on })} />
        </div>
      )}
      <div class="card members">
        <div class="card-head">
          <span class="field-label">{t('group_members')}</span>
          {mayInvite && <button type="button" class="link" onClick={() => setInviting(true)}>{t('invite')}</button>}
        </div>
        {g.members.length === 0 && <Spinner />}
        {list.map((m) => <MemberRow key={m.user} m={m} c={c} admin={admin} ask={ask} />)}
      </div>
      <div class="card actions">
        {settings.open && <button type="button" onClick={() => void copy(location.href)}><Icon name="copy" size={20} />{t('copy_address')}</button>}
        <button type="button" class="danger" onClick={leave}><Icon name="exit" size={20} />{t('leave')}</button>
      </div>
      {inviting && <InviteDialog conv={conv} members={g.members.map((m) => m.user)} onClose={() => setInviting(false)} />}
    </>
  );
}

function MemberRow({ m, c, admin, ask }: { m: Member; c: ConvState; admin: boolean; ask: (q: Question) => void }) {
  const [open, setOpen] = useState(false);
  const self = m.user === me.value.user;
  const name = self ? t('you') : m.name || nameOf(m.user);
  const owner = c.role === 'owner';
  const conv = c.conv;
  const muted = (m.muted_until ?? 0) > Date.now();
  const manageable = !self && admin && m.role !== 'owner' && (owner || m.role !== 'admin');
  const act = (label: Key, f: () => void, danger = false) => (
    <button type="button" class={danger ? 'danger' : ''} data-action={label} onClick={() => { setOpen(false); f(); }}>{t(label)}</button>
  );
  return (
    <div class="member" data-user={m.user}>
      <button type="button" class="user-row" aria-expanded={open} onClick={() => { if (!self) setOpen(!open); }}>
        <Avatar name={m.name || m.user} seed={m.user} size={40} file={avatarOf(m.user)} user={self ? undefined : m.user} />
        <span class="user-names"><b>{name}</b><small>{self ? `@${m.user}` : seen(presence.value.get(m.user)) || `@${m.user}`}</small></span>
        {muted && <span class="tag">{t('muted')}</span>}
        {(m.role === 'owner' || m.role === 'admin') && <span class={`tag ${m.role}`}>{t(`role_${m.role}`)}</span>}
      </button>
      {open && (
        <div class="member-actions">
          {act('write', () => go({ page: 'user', user: m.user }))}
          {owner && m.role === 'member' && act('make_admin', () => void change('role', { conv, user: m.user, role: 'admin' }))}
          {owner && m.role === 'admin' && act('make_member', () => void change('role', { conv, user: m.user, role: 'member' }))}
          {owner && act('make_owner', () => ask({ title: t('make_owner_ask', { name }), yes: t('make_owner'), danger: true, onYes: () => void change('role', { conv, user: m.user, role: 'owner' }) }))}
          {manageable && act(muted ? 'unmute' : 'mute_1h', () => void change('mute', { conv, user: m.user, seconds: muted ? 0 : 3600 }))}
          {manageable && act('kick', () => ask({ title: t('kick_ask', { name }), yes: t('kick'), danger: true, onYes: () => void change('kick', { conv, user: m.user }) }), true)}
        </div>
      )}
    </div>
  );
}

function InviteDialog({ conv, members, onClose }: { conv: string; members: string[]; onClose: () => void }) {
  const [chosen, toggle] = useChosen();
  return (
    <Modal title={t('invite_people')} onClose={onClose}>
      <UserSearch chosen={chosen} onPick={toggle} exclude={members} />
      <footer class="modal-foot">
        <button type="button" class="button plain" onClick={onClose}>{t('cancel')}</button>
        <button type="button" class="button" disabled={chosen.size === 0} onClick={() => {
          onClose();
          void change('invite', { conv, users: [...chosen] });
        }}>{t('invite')}</button>
      </footer>
    </Modal>
  );
}
