import { effect } from '@preact/signals';
import { render } from 'preact';
import { forgetChat, listenForWaking } from './state/chat';
import { keepTitle } from './state/notify';
import { applyPrefs } from './state/prefs';
import { loadServerInfo, session } from './state/session';
import './styles/base.css';
import './styles/controls.css';
import './styles/shell.css';
import './styles/chat.css';
import './styles/composer.css';
import './styles/pages.css';
import { App } from './ui/App';

applyPrefs();
keepTitle();
listenForWaking();
loadServerInfo().catch(() => {});

let user = session.peek()?.user;
effect(() => {
  const now = session.value?.user;
  if (user && now !== user) setTimeout(forgetChat); // logged out, or refused
  user = now;
});

// Logging in or out in another tab holds for this one.
addEventListener('storage', (e) => { if (e.key === 'pigeon.session') location.reload(); });

render(<App />, document.getElementById('app')!);

// Only a secure context has it: https, or localhost.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  addEventListener('load', () => { navigator.serviceWorker.register('/sw.js').catch(() => {}); });
}
