// Finding people: for a direct conversation, for a new group, and for inviting into one.
import { useEffect, useState } from 'preact/hooks';
import { t, tError } from '../i18n';
import { createGroup } from '../state/actions';
import { convs } from '../state/convs';
import { go } from '../state/route';
import { me } from '../state/session';
import { toast } from '../state/toast';
import { searchUsers, users, type Profile } from '../state/users';
import { Avatar, Empty, Field, Modal, Spinner } from './bits';
import { Icon } from './icons';

export function UserSearch({ chosen, onPick, exclude = [] }: {
  chosen?: ReadonlySet<string>; onPick: (p: Profile) => void; exclude?: string[];
}) {
  const [q, setQ] = useState('');
  const [found, setFound] = useState<Profile[] | null>(null);
  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      searchUsers(q.trim()).then(
        (list) => { if (current) setFound(list); },
        (e) => { if (current) { setFound([]); toast(tError(e), true); } },
      );
    }, q ? 200 : 0);
    return () => { current = false; clearTimeout(timer); };
  }, [q]);
  // Whom one talks with already comes first while nothing is typed.
  const known = [...convs.value.values()].flatMap((c) => (c.peer && c.peer !== me.value.user ? [c.peer] : []));
  const merged = new Map<string, Profile>();
  if (!q) for (const u of known) merged.set(u, users.value.get(u) ?? { user: u });
  for (const p of found ?? []) merged.set(p.user, p);
  const list = [...merged.values()].filter((p) => p.user !== me.value.user && !exclude.includes(p.user));
  return (
    <>
      <label class="search boxed">
        <Icon name="search" size={18} />
        <input type="search" autofocus placeholder={t('user_search')} aria-label={t('user_search')} value={q} onInput={(e) => setQ(e.currentTarget.value)} />
      </label>
      {chosen && chosen.size > 0 && (
        <div class="chips">
          {[...chosen].map((u) => (
            <button type="button" class="chip" key={u} onClick={() => onPick(users.value.get(u) ?? { user: u })}>
              {users.value.get(u)?.name || u}<Icon name="close" size={14} />
            </button>
          ))}
        </div>
      )}
      <div class="user-list">
        {found === null && list.length === 0 && <div class="center-box"><Spinner /></div>}
        {found !== null && list.length === 0 && <Empty title={t(q ? 'nobody_found' : 'user_search_hint')} />}
        {list.map((p) => (
          <button type="button" class="user-row" key={p.user} data-user={p.user} aria-pressed={chosen?.has(p.user)} onClick={() => onPick(p)}>
            <Avatar name={p.name || p.user} seed={p.user} file={p.avatar} size={42} user={p.user} />
            <span class="user-names"><b>{p.name || p.user}</b><small>@{p.user}{p.about ? ` · ${p.about}` : ''}</small></span>
            {chosen && <span class={`pick ${chosen.has(p.user) ? 'on' : ''}`}>{chosen.has(p.user) && <Icon name="check" size={16} />}</span>}
          </button>
        ))}
      </div>
    </>
  );
}

export function useChosen(): [Set<string>, (p: Profile) => void] {
  const [chosen, setChosen] = useState(new Set<string>());
  return [chosen, (p) => {
    const next = new Set(chosen);
    if (!next.delete(p.user)) next.add(p.user);
    setChosen(next);
  }];
}

export function NewChat({ group, onClose }: { group: boolean; onClose: () => void }) {
  const [asGroup, setAsGroup] = useState(group);
  const [title, setTitle] = useState('');
  const [busy, setBusy] = useState(false);
  const [chosen, toggle] = useChosen();

  if (!asGroup) {
    return (
      <Modal title={t('new_chat')} onClose={onClose}>
        <button type="button" class="user-row lead" onClick={() => setAsGroup(true)}>
          <span class="avatar av-accent"><Icon name="people" /></span><b>{t('new_group')}</b>
        </button>
        <UserSearch onPick={(p) => { onClose(); go({ page: 'user', user: p.user }); }} />
      </Modal>
    );
  }
  const create = async () => {
    setBusy(true);
    const conv = await createGroup(title.trim(), [...chosen]);
    setBusy(false);
    if (!conv) return;
    onClose();
    go({ page: 'conv', conv });
  };
  return (
    <Modal title={t('new_group')} onClose={onClose}>
      <form class="modal-form" onSubmit={(e) => { e.preventDefault(); if (title.trim()) void create(); }}>
        <Field label={t('group_title')} name="title" maxLength={100} required value={title} onInput={(e: { currentTarget: HTMLInputElement }) => setTitle(e.currentTarget.value)} />
        <span class="field-label">{t('choose_members')}{chosen.size > 0 && ` · ${t('n_chosen', { n: chosen.size })}`}</span>
        <UserSearch chosen={chosen} onPick={toggle} />
        <footer class="modal-foot">
          <button type="button" class="button plain" onClick={onClose}>{t('cancel')}</button>
          <button class="button" disabled={busy || !title.trim()}>{t('create')}</button>
        </footer>
      </form>
    </Modal>
  );
}
