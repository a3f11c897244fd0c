// The REST half of the mock server; see mock-server.mjs.
import { randomBytes } from 'node:crypto';

const secret = () => randomBytes(9).toString('base64url');

export function makeRest(db, live) {
  const pub = (u) => ({ user: u.user, name: u.name, about: u.about, avatar: u.avatar });
  const mePart = (u) => ({ ...pub(u), admin: u.admin, lang: u.lang });
  const fail = (code, text = code) => { throw { code, text }; };
  const need = (ok, code) => { if (!ok) fail(code); };
  const userOf = (id) => db.users.get(id) ?? fail('not_found');
  const admin = (me) => need(me.admin, 'forbidden');

  function login(body) {
    const u = db.users.get(body.user);
    need(u && u.password === body.password && !u.disabled, 'unauthenticated');
    return grant(u, body.device);
  }
  function grant(u, device) {
    for (const [t, s] of db.tokens) if (s.user === u.user && s.device === device) db.tokens.delete(t);
    const token = secret() + secret();
    db.tokens.set(token, { user: u.user, device, created_at: Date.now(), last_used: Date.now() });
    return { token, expires_at: Date.now() + 864e5, user: mePart(u), must_change_password: u.mustChange ?? false };
  }
  function page(list, q) {
    const rows = list.filter((u) => !q || u.user.includes(q) || (u.name ?? '').toLowerCase().includes(q.toLowerCase()));
    return { users: rows.slice(0, 30), more: false };
  }
  function endSession(test) {
    for (const [t, s] of db.tokens) if (test(s)) { db.tokens.delete(t); live.close(s.user, s.device, 'expired', 4401); }
  }
  const contact = (a, b) => (db.contacts.get(a) ?? db.contacts.set(a, new Map()).get(a));
  const setContact = (a, b, state, note) => contact(a).set(b, { user: b, name: userOf(b).name, state, note, since: Date.now() });

  /** [status, answer] */
  return async function rest(method, path, query, readBody, me, session, token) {
    const json = async () => { const b = await readBody(); return b.length ? JSON.parse(b) : {}; };
    const key = `${method} ${path}`;
    if (key === 'GET /info') return [200, { name: 'Pigeon (mock)', version: '0', registration: 'invite', max_file_bytes: 20e6 }];
    if (key === 'POST /login') return [200, login(await json())];
    if (key === 'POST /register') {
      const b = await json();
      need(db.invites.has(b.invite), 'forbidden');
      need(!db.users.has(b.user), 'conflict');
      db.users.set(b.user, { user: b.user, name: b.name, password: b.password });
      return [201, grant(db.users.get(b.user), b.device)];
    }
    need(me, 'unauthenticated');
    const p = path.split('/').slice(1).map(decodeURIComponent);
    switch (p[0]) {
      case 'logout': db.tokens.delete(token); return [204];
      case 'me':
        if (p[1] === 'password') {
          const b = await json();
          need(b.old === me.password, 'forbidden');
          me.password = b.new; me.mustChange = false;
          endSession((s) => s.user === me.user && s.device !== session.device);
          return [204];
        }
        if (p[1] === 'sessions' && method === 'DELETE') { endSession((s) => s.user === me.user && s.device === p[2]); return [204]; }
        if (p[1] === 'sessions') {
          const sessions = [...db.tokens.values()].filter((s) => s.user === me.user)
            .map((s) => ({ device: s.device, created_at: s.created_at, last_used: s.last_used, current: s.device === session.device }));
          return [200, { sessions }];
        }
        if (method === 'PATCH') Object.assign(me, await json());
        return [200, mePart(me)];
      case 'users':
        return [200, p[1] ? pub(userOf(p[1])) : page([...db.users.values()].map(pub), query.get('q'))];
      case 'contacts': {
        const other = p[1];
        if (!other && method === 'GET') return [200, { contacts: [...contact(me.user).values()] }];
        if (!other) {
          const b = await json();
          userOf(b.user);
          setContact(me.user, b.user, 'requested', b.note);
          setContact(b.user, me.user, 'pending', b.note);
          return [201, {}];
        }
        if (p[2] === 'accept') { setContact(me.user, other, 'accepted'); setContact(other, me.user, 'accepted'); }
        else if (p[2] === 'block') setContact(me.user, other, 'blocked');
        else { contact(me.user).delete(other); if (p[2] !== 'unblock') contact(other).delete(me.user); }
        return [204];
      }
      case 'files': {
        if (method === 'POST') {
          const bytes = await readBody();
          const id = `f${secret()}`;
          db.files.set(id, { bytes, name: query.get('name'), mime: session.mime });
          return [201, { file_id: id, name: query.get('name'), size: bytes.length, mime: session.mime }];
        }
        const f = db.files.get(p[1]) ?? fail('not_found');
        return [200, f.bytes, { 'Content-Type': 'application/octet-stream', 'Content-Disposition': 'attachment' }];
      }
      case 'admin': admin(me); break;
      default: fail('not_found');
    }
    if (p[1] === 'users') {
      const row = (u) => ({ ...mePart(u), disabled: u.disabled ?? false });
      if (method === 'GET') return [200, page([...db.users.values()].map(row), query.get('q'))];
      const b = await json();
      if (method === 'POST') {
        need(/^[a-z0-9][a-z0-9_-]{0,31}$/.test(b.user ?? ''), 'invalid');
        need(!db.users.has(b.user), 'conflict');
        const password = b.password || secret();
        db.users.set(b.user, { user: b.user, name: b.name, admin: b.admin, password, mustChange: true });
        return [201, { ...row(userOf(b.user)), ...(b.password ? {} : { password }) }];
      }
      const u = userOf(p[2]);
      if ('password' in b) u.mustChange = true;
      Object.assign(u, b);
      if (b.disabled) endSession((s) => s.user === u.user);
      return [200, row(u)];
    }
    if (p[1] === 'invites') {
      if (method === 'DELETE') { db.invites.delete(p[2]); return [204]; }
      if (method === 'GET') return [200, { invites: [...db.invites.values()] }];
      const b = await json();
      const i = { code: secret(), uses_left: b.uses, expires_at: Date.now() + b.expires_in_s * 1000 };
      db.invites.set(i.code, i);
      return [201, i];
    }
    if (p[1] === 'status') {
      return [200, {
        services: ['gateway', 'message', 'storage', 'presence', 'api'].map((service) => ({
          instance: `${service}-1`, service, connections: 3, cpu_permille: 12, memory_bytes: 9e6, queue: 0, temperature_c: 48,
          throttled: false, messages_per_s: 2, version: '1.0.0', started_at: Date.now() - 864e5,
        })),
        store: { users: db.users.size, convs: db.convs.size, messages: 1234, sessions: 4, bytes: 3e6, disk_free: 2e10, last_backup_at: Date.now() - 36e5, store: 'sqlite' },
        backups: [{ name: 'daily-1', at: Date.now() - 36e5, bytes: 3e6, commit: 9 }],
      }];
    }
    return fail('not_found');
  };
}
