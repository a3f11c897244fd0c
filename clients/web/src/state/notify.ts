// Telling about messages while the page is not looked at: notification and title.
import { effect } from '@preact/signals';
import { t } from '../i18n';
import type { Message } from '../proto';
import { convs, totalUnread } from './convs';
import { previewOf, titleOf } from './describe';
import { notifications, setNotifications } from './prefs';
import { go, route } from './route';
import { nameOf } from './users';

export function canNotify(): boolean {
  return 'Notification' in window && window.isSecureContext;
}

export async function askNotifications(): Promise<boolean> {
  if (!canNotify()) return false;
  const answer = await Notification.requestPermission();
  setNotifications(answer === 'granted');
  return answer === 'granted';
}

export function looking(): boolean {
  return !document.hidden && document.hasFocus();
}

export function notify(m: Message): void {
  if (m.kind === 'operation' || looking()) return;
  if (!notifications.peek() || !canNotify() || Notification.permission !== 'granted') return;
  const c = convs.peek().get(m.conv);
  const from = nameOf(m.from);
  const title = c?.kind === 'group' ? `${from} · ${titleOf(c)}` : from;
  const options = { body: previewOf(m), tag: m.conv, icon: '/icon-192.png' };
  try {
    const n = new Notification(title, options);
    n.onclick = () => {
      window.focus();
      go({ page: 'conv', conv: m.conv });
      n.close();
    };
  } catch {
    // Android's browsers only let the service worker show one.
    void navigator.serviceWorker?.getRegistration().then((r) => r?.showNotification(title, options));
  }
}

export function keepTitle(): void {
  effect(() => {
    const n = totalUnread.value;
    const r = route.value;
    const open = r.page === 'conv' ? convs.value.get(r.conv) : undefined;
    const name = open ? `${titleOf(open)} · ${t('app')}` : t('app');
    document.title = n > 0 ? `(${n > 999 ? '999+' : n}) ${name}` : name;
  });
}
