import { useEffect, useState } from 'preact/hooks';
import { t, tError, type Key } from '../i18n';
import { answerContact, block, contacts, loadContacts, removeContact, requestContact, type Contact } from '../state/contacts';
import { go } from '../state/route';
import { toast } from '../state/toast';
import { avatarOf } from '../state/users';
import { Avatar, Empty, Field, Modal, Spinner, useConfirm } from './bits';
import { UserSearch } from './NewChat';
import { Page } from './Page';

export function Contacts() {
  const [adding, setAdding] = useState(false);
  const [note, setNote] = useState('');
  const [ask, question] = useConfirm();
  useEffect(() => { loadContacts().catch((e) => { contacts.value ??= []; toast(tError(e), true); }); }, []);
  const list = contacts.value;
  const part = (title: Key, state: Contact['state'], actions: (c: Contact) => preact.ComponentChildren) => {
    const some = (list ?? []).filter((c) => c.state === state);
    if (some.length === 0) return null;
    return (
      <div class="card">
        <span class="field-label">{t(title)}</span>
        {some.map((c) => (
          <div class="user-row still" key={c.user} data-user={c.user}>
            <Avatar name={c.name || c.user} seed={c.user} size={44} user={c.user} file={avatarOf(c.user)} />
            <span class="user-names"><b>{c.name || c.user}</b><small>{c.note && state === 'pending' ? `“${c.note}”` : `@${c.user}`}</small></span>
            <span class="row-actions">{actions(c)}</span>
          </div>
        ))}
      </div>
    );
  };
  const small = (label: Key, f: () => void, cls = '') => <button type="button" class={`button small ${cls}`} onClick={f}>{t(label)}</button>;

  return (
    <Page title={t('contacts')} action={<button type="button" class="button small" onClick={() => setAdding(true)}>{t('add_contact')}</button>}>
      {list === null && <div class="center-box"><Spinner /></div>}
      {list?.length === 0 && (
        <Empty icon="person" title={t('no_contacts')} hint={t('no_contacts_hint')}>
          <button type="button" class="button" onClick={() => setAdding(true)}>{t('add_contact')}</button>
        </Empty>
      )}
      {part('requests', 'pending', (c) => <>{small('accept', () => void answerContact(c.user, true))}{small('decline', () => void answerContact(c.user, false), 'plain')}</>)}
      {part('your_contacts', 'accepted', (c) => (
        <>
          {small('write', () => go({ page: 'user', user: c.user }))}
          {small('remove', () => ask({ title: `${t('remove_contact')}: ${c.name || c.user}`, yes: t('remove'), danger: true, onYes: () => void removeContact(c.user) }), 'plain')}
          {small('block', () => ask({ title: t('block_ask', { name: c.name || c.user }), yes: t('block'), danger: true, onYes: () => void block(c.user, true) }), 'plain')}
        </>
      ))}
      {part('asked', 'requested', (c) => small('cancel', () => void removeContact(c.user), 'plain'))}
      {part('blocked', 'blocked', (c) => small('unblock', () => void block(c.user, false), 'plain'))}
      {adding && (
        <Modal title={t('add_contact')} onClose={() => setAdding(false)}>
          <Field label={t('request_note')} value={note} maxLength={200} onInput={(e: { currentTarget: HTMLInputElement }) => setNote(e.currentTarget.value)} />
          <UserSearch onPick={(p) => { setAdding(false); void requestContact(p.user, note.trim()); setNote(''); }}
            exclude={(list ?? []).map((c) => c.user)} />
        </Modal>
      )}
      {question}
    </Page>
  );
}
