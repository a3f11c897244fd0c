import { useEffect, useState } from 'preact/hooks';
import { t, tError } from '../i18n';
import { brief, bytes, full } from '../i18n/time';
import { http } from '../net/http';
import { copy } from '../state/actions';
import { inviteLink } from '../state/route';
import { me } from '../state/session';
import { toast } from '../state/toast';
import { Avatar, Empty, Field, IconButton, Modal, Segments, Spinner, Switch, useConfirm } from './bits';
import { Icon } from './icons';
import { Page } from './Page';
import { Status } from './Status';

type Tab = 'users' | 'invitations' | 'system_status';
const bad = (e: unknown) => toast(tError(e), true);

export function Admin() {
  const [tab, setTab] = useState<Tab>('users');
  return (
    <Page title={t('admin')}>
      <Segments<Tab> label={t('admin')} value={tab} options={[['users', t('users')], ['invitations', t('invitations')], ['system_status', t('system_status')]]} onChange={setTab} />
      {tab === 'users' ? <Users /> : tab === 'invitations' ? <Invites /> : <Status />}
    </Page>
  );
}

interface Account {
  user: string; name?: string; admin?: boolean; disabled?: boolean; password?: string; last_seen?: number; file_bytes?: number;
  must_change_password?: boolean;
}

function Users() {
  const [q, setQ] = useState('');
  const [list, setList] = useState<Account[] | null>(null);
  const [next, setNext] = useState('');
  const [adding, setAdding] = useState(false);
  const [secret, setSecret] = useState<Account | null>(null);
  const [ask, question] = useConfirm();
  const load = (after = '') => http<{ users?: Account[]; more?: boolean; next?: string }>('GET', `/admin/users?q=${encodeURIComponent(q)}&limit=50${after ? `&after=${encodeURIComponent(after)}` : ''}`)
    .then((a) => { setList((old) => (after ? [...(old ?? []), ...(a.users ?? [])] : a.users ?? [])); setNext(a.more ? a.next || a.users?.at(-1)?.user || '' : ''); }, bad);
  useEffect(() => {
    const timer = setTimeout(() => void load(), q ? 200 : 0);
    return () => clearTimeout(timer);
  }, [q]);
  const patch = async (u: Account, change: object) => {
    try {
      const a = await http<Account | undefined>('PATCH', `/admin/users/${encodeURIComponent(u.user)}`, change);
      toast(t('saved'));
      void load();
      return a;
    } catch (e) { bad(e); return undefined; }
  };
  // The server takes a password here, it makes none: a random one does for the one time.
  const reset = async (u: Account) => {
    const password = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => 'abcdefghjkmnpqrstuvwxyz23456789'[b % 31]).join('');
    const a = await patch(u, { password });
    if (a) setSecret({ ...u, password: a.password || password });
  };

  return (
    <>
      <div class="toolbar">
        <label class="search boxed"><Icon name="search" size={18} />
          <input type="search" placeholder={t('search')} aria-label={t('search')} value={q} onInput={(e) => setQ(e.currentTarget.value)} />
        </label>
        <button type="button" class="button" onClick={() => setAdding(true)}>{t('add_user')}</button>
      </div>
      <div class="card">
        {list === null && <Spinner />}
        {list?.map((u) => (
          <div class={`user-row still ${u.disabled ? 'off' : ''}`} key={u.user} data-user={u.user}>
            <Avatar name={u.name || u.user} seed={u.user} size={40} />
            <span class="user-names"><b>{u.name || u.user}</b><small>@{u.user}{u.last_seen ? ` · ${t('seen_at', { when: brief(u.last_seen) })}` : ''}{u.file_bytes ? ` · ${bytes(u.file_bytes)}` : ''}</small></span>
            {u.admin && <span class="tag owner">{t('administrator')}</span>}
            {u.disabled && <span class="tag bad">{t('disabled')}</span>}
            {u.user !== me.value.user && (
              <span class="row-actions">
                <IconButton icon="key" size={19} label={t('reset_password')} onClick={() => ask({ title: t('reset_ask', { name: u.name || u.user }), yes: t('reset_password'), onYes: () => void reset(u) })} />
                <IconButton icon="shield" size={19} label={t(u.admin ? 'unmake_sysadmin' : 'make_sysadmin')} onClick={() => ask({ title: `${t(u.admin ? 'unmake_sysadmin' : 'make_sysadmin')}: ${u.name || u.user}?`, yes: t('ok'), onYes: () => void patch(u, { admin: !u.admin }) })} />
                {u.disabled
                  ? <button type="button" class="button small" onClick={() => void patch(u, { disabled: false })}>{t('enable')}</button>
                  : <button type="button" class="button small plain" onClick={() => ask({ title: t('disable_ask', { name: u.name || u.user }), yes: t('disable'), danger: true, onYes: () => void patch(u, { disabled: true }) })}>{t('disable')}</button>}
              </span>
            )}
          </div>
        ))}
        {list?.length === 0 && <Empty title={t('nobody_found')} />}
        {next && <button type="button" class="link" onClick={() => void load(next)}>{t('more')}</button>}
      </div>
      {adding && <AddUser onClose={() => setAdding(false)} onAdded={(u) => { setAdding(false); void load(); if (u.password) setSecret(u); }} />}
      {secret && (
        <Modal title={t('one_time', { name: secret.name || secret.user })} onClose={() => setSecret(null)}>
          <p class="secret"><code>{secret.password}</code><IconButton icon="copy" label={t('copy')} onClick={() => void copy(secret.password!)} /></p>
          <p class="modal-text">{t('one_time_hint', { name: secret.name || secret.user })}</p>
        </Modal>
      )}
      {question}
    </>
  );
}

function AddUser({ onClose, onAdded }: { onClose: () => void; onAdded: (u: Account) => void }) {
  const [f, setF] = useState({ user: '', name: '', password: '', admin: false });
  const [error, setError] = useState('');
  const set = (k: 'user' | 'name' | 'password') => (e: { currentTarget: HTMLInputElement }) => setF({ ...f, [k]: e.currentTarget.value });
  const submit = async (e: Event) => {
    e.preventDefault();
    const user = f.user.trim().toLowerCase();
    try {
      const a = await http<Account>('POST', '/admin/users', {
        user, name: f.name.trim() || user, admin: f.admin, ...(f.password ? { password: f.password } : {}),
      });
      onAdded({ user, name: f.name.trim(), password: a.password });
    } catch (x) { setError(tError(x)); }
  };
  return (
    <Modal title={t('add_user')} onClose={onClose}>
      <form class="modal-form" onSubmit={submit}>
        <Field label={t('user')} name="user" hint={t('user_hint')} required autocapitalize="none" autocomplete="off" value={f.user} onInput={set('user')} />
        <Field label={t('name')} name="name" autocomplete="off" value={f.name} onInput={set('name')} />
        <Field label={t('password')} name="password" type="text" autocomplete="off" hint={t('leave_empty')} value={f.password} onInput={set('password')} />
        <Switch label={t('administrator')} on={f.admin} onChange={(admin) => setF({ ...f, admin })} />
        <p class="form-error" role="alert">{error}</p>
        <footer class="modal-foot">
          <button type="button" class="button plain" onClick={onClose}>{t('cancel')}</button>
          <button class="button">{t('add')}</button>
        </footer>
      </form>
    </Modal>
  );
}

interface Invite { code: string; uses_left?: number; expires_at?: number }

function Invites() {
  const [list, setList] = useState<Invite[] | null>(null);
  const [uses, setUses] = useState('1');
  const [days, setDays] = useState('7');
  const load = () => http<{ invites?: Invite[] }>('GET', '/admin/invites').then((a) => setList(a.invites ?? []), (e) => { setList([]); bad(e); });
  useEffect(() => { void load(); }, []);
  const number = (set: (v: string) => void) => (e: { currentTarget: HTMLInputElement }) => set(e.currentTarget.value);
  return (
    <>
      <form class="card inline-form" onSubmit={(e) => {
        e.preventDefault();
        http<Invite>('POST', '/admin/invites', { uses: Number(uses) || 1, expires_in_s: (Number(days) || 7) * 86_400 }).then(load, bad);
      }}>
        <Field label={t('uses')} type="number" min="1" max="1000" value={uses} onInput={number(setUses)} />
        <Field label={`${t('valid_for')} (${t('days_n', { n: Number(days) || 7 })})`} type="number" min="1" max="365" value={days} onInput={number(setDays)} />
        <button class="button">{t('new_invite')}</button>
      </form>
      <div class="card">
        {list === null && <Spinner />}
        {list?.length === 0 && <Empty icon="key" title={t('no_invites')} />}
        {list?.map((i) => (
          <div class="user-row still" key={i.code}>
            <span class="user-names">
              <code>{i.code}</code>
              <small>{t('uses_left', { n: i.uses_left ?? 0 })}{i.expires_at ? ` · ${t('valid_until', { when: full(i.expires_at) })}` : ''}</small>
            </span>
            <span class="row-actions">
              <IconButton icon="copy" size={19} label={t('copy')} onClick={() => void copy(i.code)} />
              <button type="button" class="button small" onClick={() => void copy(inviteLink(i.code))}>{t('copy_link')}</button>
              <IconButton icon="trash" size={19} label={t('revoke')} onClick={() => { http('DELETE', `/admin/invites/${encodeURIComponent(i.code)}`).then(load, bad); }} />
            </span>
          </div>
        ))}
      </div>
    </>
  );
}
