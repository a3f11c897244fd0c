// The address bar's hash says what is open, so that "back" works and a reload comes back to it.
import { signal } from '@preact/signals';

export type Route =
  | { page: 'home' }
  | { page: 'conv'; conv: string }
  | { page: 'user'; user: string } // a direct conversation, which may not exist yet
  | { page: 'settings' | 'contacts' | 'admin' };

export const route = signal<Route>(parse(location.hash));

function parse(hash: string): Route {
  const [page, rest = ''] = hash.replace(/^#\/?/, '').split('/', 2);
  let arg = '';
  try { arg = decodeURIComponent(rest); } catch { /* typed by hand */ }
  if (page === 'c' && arg) return { page: 'conv', conv: arg };
  if (page === 'u' && arg) return { page: 'user', user: arg };
  if (page === 'settings' || page === 'contacts' || page === 'admin') return { page };
  return { page: 'home' };
}

addEventListener('hashchange', () => { route.value = parse(location.hash); });

/** The address that opens the form for a new account with its invitation filled in. */
export const inviteLink = (code: string) => `${location.origin}/#/invite/${encodeURIComponent(code)}`;

/** The invitation in the address, if there is one. */
export function invitation(): string {
  const found = /^#\/?invite\/([^/]+)$/.exec(location.hash);
  try { return found ? decodeURIComponent(found[1]!) : ''; } catch { return ''; }
}

export function hrefOf(r: Route): string {
  switch (r.page) {
    case 'conv': return `#/c/${encodeURIComponent(r.conv)}`;
    case 'user': return `#/u/${encodeURIComponent(r.user)}`;
    case 'home': return '#/';
    default: return `#/${r.page}`;
  }
}

export function go(r: Route, replace = false): void {
  const href = hrefOf(r);
  // Going from one conversation to another leaves one "back" between them and the list.
  if (replace || route.value.page !== 'home') history.replaceState(null, '', href);
  else history.pushState(null, '', href);
  route.value = r;
}

export function goHome(): void {
  go({ page: 'home' }, true);
}
