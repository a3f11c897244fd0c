import { useEffect, useState } from 'preact/hooks';
import { t, tError } from '../i18n';
import type { Message, Receipts } from '../proto';
import { theClient } from '../state/chat';
import { me } from '../state/session';
import { avatarOf, nameOf } from '../state/users';
import { Avatar, Empty, Modal, Spinner } from './bits';

export function ReadBy({ m, onClose }: { m: Message; onClose: () => void }) {
  const [r, setR] = useState<Receipts | null>(null);
  const [error, setError] = useState('');
  useEffect(() => {
    theClient().request('receipts', { conv: m.conv, seq: m.seq }).then((ok) => setR(ok.receipts ?? {}), (e) => setError(tError(e)));
  }, []);
  const others = (list?: string[]) => (list ?? []).filter((u) => u !== me.value.user);
  const read = others(r?.read);
  const delivered = others(r?.delivered).filter((u) => !read.includes(u));
  return (
    <Modal title={t('who_read')} onClose={onClose}>
      <div class="user-list">
        {!r && !error && <div class="center-box"><Spinner /></div>}
        {error && <p class="form-error">{error}</p>}
        {r && read.length === 0 && <Empty icon="eye" title={t('nobody_read')} />}
        {read.map((u) => <Person key={u} user={u} />)}
        {delivered.length > 0 && <h3 class="list-head">{t('delivered_to')}</h3>}
        {delivered.map((u) => <Person key={u} user={u} />)}
      </div>
    </Modal>
  );
}

function Person({ user }: { user: string }) {
  return (
    <div class="user-row still">
      <Avatar name={nameOf(user)} seed={user} file={avatarOf(user)} size={38} />
      <span class="user-names"><b>{nameOf(user)}</b><small>@{user}</small></span>
    </div>
  );
}
