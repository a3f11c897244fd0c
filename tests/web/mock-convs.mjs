// Conversations of the mock server; see mock-server.mjs.
import { randomBytes } from 'node:crypto';

export function makeConvs(db, live) {
  let clock = 1;
  const fail = (code) => { throw { code, text: code }; };
  const rank = { member: 1, admin: 2, owner: 3 };
  const direct = (a, b) => {
    if (!db.users.has(b)) fail('not_found');
    const [x, y] = [a, b].sort();
    const id = `d:${x}:${y}`;
    if (!db.convs.has(id)) {
      db.convs.set(id, { conv: id, kind: 'direct', messages: [], version: 1, changed: ++clock, settings: {}, members: new Map([...new Set([x, y])].map((u) => [u, { user: u, role: 'member', read: 0, delivered: 0 }])) });
    }
    return db.convs.get(id);
  };
  const mine = (id, me) => {
    const c = db.convs.get(id) ?? fail('not_found');
    if (!c.members.has(me)) fail('forbidden');
    return c;
  };
  const least = (c, me, role) => { if (rank[c.members.get(me)?.role] < rank[role]) fail('forbidden'); };
  const toAll = (c, frame, but, butDevice) => {
    for (const u of c.members.keys()) live.push(u, frame, u === but ? butDevice : undefined);
  };

  function store(c, me, device, m) {
    const message = { conv: c.conv, seq: c.messages.length + 1, message_id: randomBytes(6).toString('hex'), from: me, device, sent_at: Date.now(), ...m };
    c.messages.push(message);
    c.changed = ++clock;
    toAll(c, { message }, me, device);
    return { conv: c.conv, seq: message.seq, message_id: message.message_id, sent_at: message.sent_at };
  }
  const operation = (c, me, device, op) => store(c, me, device, { kind: 'operation', body: { operation: op } });
  function changed(c, me, device, op, extra = []) {
    operation(c, me, device, op);
    c.version++;
    for (const u of [...c.members.keys(), ...extra]) live.push(u, { changed: { conv: c.conv, version: c.version } });
    return { changed: { conv: c.conv, version: c.version } };
  }
  function state(c, me) {
    const m = c.members.get(me);
    if (!m) return { conv: c.conv, kind: c.kind, gone: true, last_seq: 0, read_seq: 0, delivered_seq: 0, unread: 0, version: c.version };
    const peer = c.kind === 'direct' ? [...c.members.keys()].find((u) => u !== me) ?? me : undefined;
    const p = c.members.get(peer);
    return {
      conv: c.conv, kind: c.kind, title: c.title, last_seq: c.messages.length, read_seq: m.read, delivered_seq: m.delivered,
      unread: c.messages.filter((x) => x.seq > m.read && x.from !== me && x.kind !== 'operation').length,
      last_message: c.messages.findLast((x) => !x.body?.operation?.seq), version: c.version, role: m.role, peer,
      peer_read: p?.read, peer_delivered: p?.delivered, members: c.kind === 'group' ? c.members.size : undefined,
      mentioned: c.messages.findLast((x) => x.seq > m.read && x.mentions?.includes(me))?.seq,
    };
  }

  const ops = {
    send(a, me, device) {
      const c = a.to.user ? direct(me, a.to.user) : mine(a.to.conv, me);
      if (c.kind === 'direct') for (const u of c.members.keys()) if (db.contacts.get(u)?.get(me)?.state === 'blocked') fail('forbidden');
      const again = c.messages.find((m) => m.client_id === a.client_id && m.from === me);
      if (again) return { send: { conv: c.conv, seq: again.seq, message_id: again.message_id, sent_at: again.sent_at } };
      const { client_id, kind = 'text', body, reply_to, mentions } = a;
      return { send: store(c, me, device, { client_id, kind, body, reply_to, mentions }) };
    },
    fetch({ conv, after, before, limit }, me) {
      const all = mine(conv, me).messages.filter((m) => (after === undefined || m.seq > after) && (before === undefined || m.seq < before));
      const messages = after === undefined ? all.slice(-limit) : all.slice(0, limit);
      return { fetch: { messages, more: all.length > messages.length } };
    },
    sync({ cursor }, me) {
      const since = Number(cursor || 0);
      const list = [...db.convs.values()].filter((c) => (c.members.has(me) || (since && c.past?.has(me))) && c.changed > since);
      return { sync: { convs: list.map((c) => state(c, me)), cursor: String(clock), more: false } };
    },
    mark({ conv, read = 0, delivered = 0 }, me, device) {
      const c = mine(conv, me);
      const m = c.members.get(me);
      m.read = Math.max(m.read, read);
      m.delivered = Math.max(m.delivered, delivered, read);
      toAll(c, { mark: { conv, user: me, read: m.read, delivered: m.delivered } }, me, device);
      return {};
    },
    typing({ conv }, me) {
      for (const u of mine(conv, me).members.keys()) if (u !== me) live.push(u, { typing: { conv, user: me } });
    },
    watch({ users }, me, device, ws) {
      for (const u of users) ws.watching.add(u);
      return { watch: { presence: users.filter((u) => db.users.has(u)).map(live.presence) } };
    },
    unwatch({ users }, me, device, ws) { for (const u of users) ws.watching.delete(u); return {}; },
    status({ text, state: s }, me) { Object.assign(db.users.get(me), { state: s, statusText: text }); live.tellPresence(me); return {}; },
    ping: () => ({ ping: { cursor: String(clock) } }),
    recall({ conv, seq }, me, device) {
      const c = mine(conv, me);
      const m = c.messages[seq - 1] ?? fail('not_found');
      if (m.from !== me) { if (c.kind !== 'group') fail('forbidden'); least(c, me, 'admin'); }
      c.messages[seq - 1] = { ...m, recalled: true, body: {}, reactions: [] };
      return { recall: operation(c, me, device, { op: 'recall', seq }) };
    },
    edit({ conv, seq, body }, me, device) {
      const c = mine(conv, me);
      if (c.messages[seq - 1]?.from !== me) fail('forbidden');
      c.messages[seq - 1] = { ...c.messages[seq - 1], body, edited_at: Date.now() };
      return { edit: operation(c, me, device, { op: 'edit', seq, body }) };
    },
    react({ conv, seq, emoji, on }, me, device) {
      const c = mine(conv, me);
      const m = c.messages[seq - 1] ?? fail('not_found');
      const map = new Map((m.reactions ?? []).map((r) => [r.emoji, r.users.filter((u) => r.emoji !== emoji || u !== me)]));
      if (on) map.set(emoji, [...(map.get(emoji) ?? []), me]);
      c.messages[seq - 1] = { ...m, reactions: [...map].filter(([, u]) => u.length).map(([e, users]) => ({ emoji: e, users })) };
      return { react: operation(c, me, device, { op: 'react', seq, emoji, on }) };
    },
    create({ title, members = [], settings = {} }, me, device) {
      const id = `c${randomBytes(8).toString('hex')}`;
      const at = Date.now();
      const list = [...new Set([me, ...members])].map((u) => [u, { user: u, role: u === me ? 'owner' : 'member', read: 0, delivered: 0, joined_at: at }]);
      const c = { conv: id, kind: 'group', title, settings, messages: [], version: 1, created_at: at, changed: ++clock, members: new Map(list), past: new Set() };
      db.convs.set(id, c);
      changed(c, me, device, { op: 'created', users: members, title });
      return { create: { conv: id, version: c.version } };
    },
    invite({ conv, users }, me, device) {
      const c = mine(conv, me);
      if (!c.settings.members_invite) least(c, me, 'admin');
      for (const u of users) c.members.set(u, { user: u, role: 'member', read: c.messages.length, delivered: 0, joined_at: Date.now() });
      return changed(c, me, device, { op: 'invited', users });
    },
    leave({ conv }, me, device) {
      const c = mine(conv, me);
      if (c.members.get(me).role === 'owner' && c.members.size > 1) fail('forbidden');
      c.members.delete(me); c.past.add(me);
      return changed(c, me, device, { op: 'left', users: [me] }, [me]);
    },
    kick({ conv, user }, me, device) {
      const c = mine(conv, me);
      least(c, me, 'admin');
      c.members.delete(user); c.past.add(user);
      return changed(c, me, device, { op: 'kicked', users: [user] }, [user]);
    },
    role({ conv, user, role }, me, device) {
      const c = mine(conv, me);
      least(c, me, 'owner');
      if (role === 'owner') c.members.get(me).role = 'member';
      c.members.get(user).role = role;
      return changed(c, me, device, { op: 'role_changed', users: [user], role });
    },
    mute({ conv, user, seconds }, me, device) {
      const c = mine(conv, me);
      least(c, me, 'admin');
      const until = seconds ? Date.now() + seconds * 1000 : 0;
      if (user) c.members.get(user).muted_until = until;
      return changed(c, me, device, { op: 'muted', users: user ? [user] : [], until });
    },
    update({ conv, title, settings }, me, device) {
      const c = mine(conv, me);
      least(c, me, 'admin');
      if (title) c.title = title;
      if (settings) c.settings = settings;
      return changed(c, me, device, { op: 'updated', title });
    },
    members({ conv }, me) {
      const list = [...mine(conv, me).members.values()].map((m) => ({ ...m, name: db.users.get(m.user)?.name }));
      return { members: { members: list, more: false } };
    },
    receipts({ conv, seq }, me) {
      const c = mine(conv, me);
      const others = [...c.members.values()].filter((m) => m.user !== c.messages[seq - 1]?.from);
      const read = others.filter((m) => m.read >= seq).map((m) => m.user);
      const delivered = others.filter((m) => m.delivered >= seq).map((m) => m.user);
      return { receipts: { read, delivered, read_count: read.length, delivered_count: delivered.length, members: c.members.size } };
    },
    info({ conv }, me) {
      const c = mine(conv, me);
      return { info: { conv, kind: c.kind, title: c.title, settings: c.settings, last_seq: c.messages.length, version: c.version, members: c.members.size, role: c.members.get(me).role, muted_until: c.members.get(me).muted_until ?? 0, created_at: c.created_at ?? 0 } };
    },
  };
  return (op, args, me, device, ws) => (ops[op] ?? fail('invalid'))(args, me, device, ws);
}
