import { useEffect } from 'preact/hooks';
import { t } from '../i18n';
import { elsewhere, startChat } from '../state/chat';
import { session } from '../state/session';
import { Toasts } from './bits';
import { Logo } from './icons';
import { Login } from './Login';
import { NewPassword } from './NewPassword';
import { Shell } from './Shell';

export function App() {
  return <>{screen()}<Toasts /></>;
}

function screen() {
  const s = session.value;
  if (!s) return <Login />;
  if (s.mustChange) return <NewPassword />;
  if (elsewhere.value) return <Elsewhere />;
  return <Running key={s.token} />;
}

function Running() {
  useEffect(() => { void startChat(); }, []);
  return <Shell />;
}

function Elsewhere() {
  return (
    <main class="gate">
      <div class="gate-card centered">
        <Logo />
        <h1>{t('elsewhere')}</h1>
        <p class="muted">{t('elsewhere_hint')}</p>
        <button type="button" class="button big" autofocus onClick={() => void startChat(true)}>{t('use_here')}</button>
      </div>
    </main>
  );
}
