// A development tool: the client protocol in memory, and the built web client with the content security policy
// of the real server. Nothing is checked as the servers check it; the real test runs against those.
//   node tests/web/mock-server.mjs [port]     users alice, bob, carol (password "pigeon-pass"), dave must change his
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeRest } from './mock-rest.mjs';
import { makeConvs } from './mock-convs.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const web = join(here, '../../clients/web');
const { WebSocketServer } = createRequire(join(web, 'package.json'))('ws');
const port = Number(process.argv[2] ?? 8460);

const db = {
  users: new Map(), tokens: new Map(), contacts: new Map(), files: new Map(), convs: new Map(),
  invites: new Map([['welcome', { code: 'welcome', uses_left: 5, expires_at: Date.now() + 7 * 864e5 }]]),
};
for (const [user, name] of [['alice', 'Alice Zhang'], ['bob', 'Bob Martin'], ['carol', '王小明'], ['dave', 'Dave']]) {
  db.users.set(user, { user, name, password: 'pigeon-pass', admin: user === 'alice', mustChange: user === 'dave', lastSeen: Date.now() - 7e6 });
}

const sockets = new Map(); // user -> device -> ws
const say = (ws, frame) => ws.readyState === 1 && ws.send(JSON.stringify(frame));
const live = {
  push(user, frame, exceptDevice) {
    for (const [device, ws] of sockets.get(user) ?? []) if (device !== exceptDevice) say(ws, frame);
  },
  online: (user) => (sockets.get(user)?.size ?? 0) > 0,
  close(user, device, code, close) {
    const ws = sockets.get(user)?.get(device);
    if (ws) { say(ws, { bye: { code, retry_after_ms: 0 } }); ws.close(close); }
  },
  presence(user) {
    const u = db.users.get(user);
    const on = live.online(user) && u.state !== 'invisible';
    return { user, state: on ? u.state ?? 'online' : 'offline', last_seen: on ? Date.now() : u.lastSeen ?? 0, text: u.statusText };
  },
  tellPresence(user) {
    for (const m of sockets.values()) for (const ws of m.values()) if (ws.watching?.has(user)) say(ws, { presence: live.presence(user) });
  },
};
const rest = makeRest(db, live);
const operate = makeConvs(db, live);

const status = { invalid: 400, unauthenticated: 401, forbidden: 403, not_found: 404, conflict: 409, too_large: 413 };
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png', '.webmanifest': 'application/manifest+json' };
const csp = "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'; style-src 'self'; script-src 'self'; worker-src 'self'; manifest-src 'self'; media-src 'self' blob:";

async function serveFile(path, res) {
  const file = path === '/' ? '/index.html' : normalize(path);
  try {
    const bytes = await readFile(join(web, 'dist', file));
    res.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream', 'Content-Security-Policy': csp });
    res.end(bytes);
  } catch {
    res.writeHead(404);
    res.end();
  }
}

const server = createServer(async (req, res) => {
  const url = new URL(req.url, 'http://x');
  if (!url.pathname.startsWith('/v1/')) return serveFile(url.pathname, res);
  const token = (req.headers.authorization ?? '').replace('Bearer ', '');
  const session = db.tokens.get(token);
  if (session) { session.last_used = Date.now(); session.mime = req.headers['content-type']; }
  const body = async () => { const parts = []; for await (const c of req) parts.push(c); return Buffer.concat(parts); };
  try {
    const me = session && db.users.get(session.user);
    const [code, answer, headers] = await rest(req.method, url.pathname.slice(3), url.searchParams, body, me, session, token);
    const raw = Buffer.isBuffer(answer);
    res.writeHead(code, headers ?? { 'Content-Type': 'application/json' });
    res.end(answer === undefined ? undefined : raw ? answer : JSON.stringify(answer));
  } catch (e) {
    if (!e.code) console.error(e);
    res.writeHead(status[e.code] ?? 500, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify({ error: { code: e.code ?? 'internal', text: e.text ?? String(e), retry: false } }));
  }
});

const wss = new WebSocketServer({ server, path: '/v1/ws', handleProtocols: (p) => (p.has('pigeon.v1.json') ? 'pigeon.v1.json' : false) });
wss.on('connection', (ws) => {
  let me = null;
  let device = null;
  ws.watching = new Set();
  ws.on('message', (data) => {
    const f = JSON.parse(String(data));
    const op = Object.keys(f).find((k) => k !== 'id');
    try {
      if (op === 'hello') {
        const s = db.tokens.get(f.hello.token);
        if (!s) throw { code: 'unauthenticated' };
        me = s.user; device = s.device;
        live.close(me, device, 'replaced', 4409);
        if (!sockets.has(me)) sockets.set(me, new Map());
        sockets.get(me).set(device, ws);
        live.tellPresence(me);
        return say(ws, { id: f.id, ok: { hello: { user: me, device, cursor: '', heartbeat_s: 30, server: 'mock', time: Date.now() } } });
      }
      if (!me) throw { code: 'unauthenticated' };
      const answer = operate(op, f[op], me, device, ws);
      if (answer) say(ws, { id: f.id, ok: answer });
    } catch (e) {
      if (!e.code) console.error(e);
      say(ws, { id: f.id, error: { code: e.code ?? 'internal', text: e.text ?? String(e), retry: false } });
    }
  });
  ws.on('close', () => {
    if (me && sockets.get(me)?.get(device) === ws) {
      sockets.get(me).delete(device);
      db.users.get(me).lastSeen = Date.now();
      live.tellPresence(me);
    }
  });
});

server.listen(port, '127.0.0.1', () => console.log(`mock on http://127.0.0.1:${port}`));
