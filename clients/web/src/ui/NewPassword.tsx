import { useState } from 'preact/hooks';
import { t, tError } from '../i18n';
import { errorCode } from '../net/error';
import { changePassword, logout } from '../state/session';
import { PasswordField } from './bits';
import { Logo } from './icons';

/** The form alone; also part of the settings. */
export function PasswordForm({ onDone }: { onDone?: () => void }) {
  const [f, setF] = useState({ old: '', next: '', again: '' });
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const set = (k: keyof typeof f) => (e: { currentTarget: HTMLInputElement }) => setF({ ...f, [k]: e.currentTarget.value });

  const submit = async (e: Event) => {
    e.preventDefault();
    if (f.next.length < 8) return setError(t('password_short'));
    if (f.next !== f.again) return setError(t('password_differs'));
    setBusy(true);
    try {
      await changePassword(f.old, f.next);
      setF({ old: '', next: '', again: '' });
      setError('');
      onDone?.();
    } catch (x) {
      setError(errorCode(x) === 'forbidden' ? t('wrong_login') : tError(x));
    }
    setBusy(false);
  };

  return (
    <form class="stack" onSubmit={submit}>
      <PasswordField label={t('old_password')} name="old" autocomplete="current-password" required value={f.old} onInput={set('old')} />
      <PasswordField label={t('new_password')} name="new" autocomplete="new-password" required value={f.next} onInput={set('next')} />
      <PasswordField label={t('again_password')} name="again" autocomplete="new-password" required value={f.again} onInput={set('again')} />
      <p class="form-error" role="alert">{error}</p>
      <button class="button big" disabled={busy}>{t('change_password')}</button>
    </form>
  );
}

export function NewPassword() {
  return (
    <main class="gate">
      <div class="gate-card">
        <div class="gate-brand">
          <Logo size={56} />
          <h1>{t('must_change')}</h1>
          <p class="muted">{t('must_change_hint')}</p>
        </div>
        <PasswordForm />
        <button type="button" class="link" onClick={() => void logout()}>{t('logout')}</button>
      </div>
    </main>
  );
}
