// The service worker: keeps the application itself for times without network, and nothing else. Messages and files are
// private and never in its cache. vite.config.ts fills in the list of files and its hash.
const files = __FILES__;
const cacheName = 'pigeon-__HASH__';

self.addEventListener('install', (e) => {
  // From the server: the browser's own cache may hold what an older version had under the same name.
  const fresh = files.map((f) => new Request(f, { cache: 'reload' }));
  e.waitUntil(caches.open(cacheName).then((c) => c.addAll(fresh)).then(() => self.skipWaiting()));
});

self.addEventListener('activate', (e) => {
  e.waitUntil(
    caches.keys()
      .then((all) => Promise.all(all.filter((k) => k !== cacheName).map((k) => caches.delete(k))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener('fetch', (e) => {
  const url = new URL(e.request.url);
  if (e.request.method !== 'GET' || url.origin !== location.origin) return;
  if (e.request.mode === 'navigate') {
    // The server's page first: it names the newest files.
    if (!/^\/(v1|mqtt|healthz|readyz)/.test(url.pathname)) e.respondWith(fetch(e.request).catch(() => caches.match('/index.html')));
  } else if (files.includes(url.pathname)) {
    e.respondWith(caches.match(url.pathname).then((hit) => hit ?? fetch(e.request)));
  }
});

// Where a page may not show notifications itself (Android), they come from here.
self.addEventListener('notificationclick', (e) => {
  e.notification.close();
  e.waitUntil(self.clients.matchAll({ type: 'window' }).then((open) => (open[0] ? open[0].focus() : self.clients.openWindow('/'))));
});
