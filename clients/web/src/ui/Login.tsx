import { useEffect, useState } from 'preact/hooks';
import { t, tError } from '../i18n';
import { errorCode } from '../net/error';
import { lang, setLang } from '../state/prefs';
import { go, invitation } from '../state/route';
import { loadServerInfo, login, loginNotice, register, serverInfo } from '../state/session';
import { Field, PasswordField, Segments } from './bits';
import { Logo } from './icons';

function explain(x: unknown, making: boolean): string {
  const code = errorCode(x);
  if (!making) return code === 'unauthenticated' ? t('wrong_login') : tError(x);
  if (code === 'conflict') return t('name_taken');
  if (code === 'forbidden' || code === 'not_found') return t('invite_bad');
  return tError(x);
}

export function Login() {
  const [making, setMaking] = useState(!!invitation());
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const [f, setF] = useState({ user: '', password: '', name: '', invite: invitation() });
  useEffect(() => { loadServerInfo().catch(() => {}); }, []);
  const info = serverInfo.value;
  const open = info.registration === 'open' || info.registration === 'invite';
  const set = (k: keyof typeof f) => (e: { currentTarget: HTMLInputElement }) => setF({ ...f, [k]: e.currentTarget.value });

  const submit = async (e: Event) => {
    e.preventDefault();
    setError('');
    const user = f.user.trim().toLowerCase();
    if (!user || !f.password) return;
    if (making && f.password.length < 8) return setError(t('password_short'));
    setBusy(true);
    try {
      if (making) {
        await register(user, f.name.trim() || user, f.password, f.invite.trim());
        go({ page: 'home' }, true); // the invitation in the address has served
      }
      else await login(user, f.password);
    } catch (x) {
      setError(explain(x, making));
      setBusy(false);
    }
  };

  return (
    <main class="gate">
      <form class="gate-card" onSubmit={submit}>
        <div class="gate-brand">
          <Logo size={72} />
          <h1>{info.name || t('app')}</h1>
          <p class="muted">{t('tagline')}</p>
        </div>
        {loginNotice.value && !error && <p class="note" role="status">{t(loginNotice.value)}</p>}
        <Field label={t('user')} name="user" autocomplete="username" autocapitalize="none" spellcheck={false} autofocus required
          hint={making ? t('user_hint') : undefined} value={f.user} onInput={set('user')} />
        {making && <Field label={t('name')} name="name" autocomplete="name" hint={t('name_hint')} value={f.name} onInput={set('name')} />}
        <PasswordField label={t('password')} name="password" required autocomplete={making ? 'new-password' : 'current-password'}
          value={f.password} onInput={set('password')} />
        {making && info.registration === 'invite' && (
          <Field label={t('invite_code')} name="invite" autocomplete="off" required value={f.invite} onInput={set('invite')} />
        )}
        <p class="form-error" role="alert">{error}</p>
        <button class="button big" disabled={busy}>{busy ? t('login_busy') : t(making ? 'register' : 'login')}</button>
        {open
          ? <button type="button" class="link" onClick={() => { setMaking(!making); setError(''); }}>{t(making ? 'to_login' : 'to_register')}</button>
          : info.registration && <p class="muted small center">{t('closed_hint')}</p>}
        <div class="gate-lang">
          <Segments label={t('language')} value={lang.value} options={[['zh', '中文'], ['en', 'English']]} onChange={setLang} />
        </div>
      </form>
    </main>
  );
}
