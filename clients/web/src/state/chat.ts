// The running session: one Client, and where its events go.
import { signal } from '@preact/signals';
import { Client } from '../net/client';
import type { LinkState, Socket } from '../net/connection';
import type { OutItem } from '../net/outbox';
import { leaveTab, takeTab } from '../net/tabs';
import type { ConvState, Event, Message, State } from '../proto';
import { contacts, loadContacts } from './contacts';
import { convs, forgetConvs, mergeConvs, noteMark, noteMessage, sorted, synced } from './convs';
import { loadDrafts } from './drafts';
import { forgetFiles, retryFiles } from './files';
import { forgetLive, keepPresence, setPresence, setTyping } from './live';
import { device, expire, loadMe, me, session } from './session';
import { flushMarks, forgetMarks, markDelivered } from './marks';
import { forgetGroups, noteGroupMark, refreshGroup } from './groups';
import { notify } from './notify';
import { forgetRooms, rooms } from './rooms';
import { read, write } from './storage';
import { forgetUploads } from './uploads';
import { forgetUsers, want } from './users';

export const linkState = signal<LinkState>('idle');
/** Another tab of this browser is in charge. */
export const elsewhere = signal(false);
export const outbox = signal<OutItem[]>([]);

let client: Client | null = null;
let watched = new Set<string>();

export function theClient(): Client {
  if (!client) throw new Error('not logged in');
  return client;
}

export async function startChat(steal = false): Promise<void> {
  const s = session.value;
  if (!s || s.mustChange || client) return;
  const lost = () => {
    stopChat();
    elsewhere.value = true;
  };
  if (!(await takeTab(`pigeon-${s.user}`, steal, lost))) {
    elsewhere.value = true;
    return;
  }
  if (session.value !== s || client) return;
  elsewhere.value = false;
  me.value = { ...me.value, user: s.user };
  loadDrafts();
  const key = `outbox.${s.user}`;
  client = new Client({
    token: s.token,
    device,
    open: () => new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/ws`, 'pigeon.v1.json') as unknown as Socket,
    load: () => read<OutItem[]>(key, []),
    save: (items) => write(key, items),
    onState,
    onOnline: () => {
      watched = new Set();
      watchPeers();
      flushMarks();
      loadContacts().catch(() => {}); // nothing is pushed when somebody asks
      void retryFiles();
      // The server forgets a status when its last connection ends.
      const own = read<{ state: State; text: string } | null>(`status.${s.user}`, null);
      if (own) void client?.request('status', own).catch(() => {});
      for (const conv of rooms.keys()) refreshGroup(conv);
    },
    onEvent,
    onConvs,
    onSent: (item, sent) => arrived({
      conv: sent.conv, seq: sent.seq, message_id: sent.message_id ?? '', from: s.user, device,
      client_id: item.client_id, sent_at: sent.sent_at, kind: item.kind, body: item.body,
      reply_to: item.reply_to, mentions: item.mentions,
    }),
    onOutbox: (items) => { outbox.value = items; },
  });
  client.start();
  loadMe().catch(() => {});
}

export function stopChat(): void {
  client?.stop();
  client = null;
  linkState.value = 'idle';
}

/** After logging out: nothing of this user stays in memory. */
export function forgetChat(): void {
  stopChat();
  leaveTab();
  forgetConvs();
  forgetRooms();
  forgetGroups();
  forgetUsers();
  forgetFiles();
  forgetLive();
  forgetMarks();
  forgetUploads();
  extra.clear();
  watched = new Set();
  outbox.value = [];
  contacts.value = null;
}

function onState(state: LinkState): void {
  linkState.value = state;
  if (state === 'expired') expire();
  if (state === 'replaced') {
    stopChat();
    leaveTab();
    elsewhere.value = true;
  }
}

function onEvent(e: Event): void {
  if (e.message) arrived(e.message);
  else if (e.mark) {
    noteGroupMark(e.mark);
    if (!noteMark(e.mark)) client?.resync();
  } else if (e.typing) {
    if (e.typing.user !== me.value.user) setTyping(e.typing.conv, e.typing.user, true);
  } else if (e.presence) setPresence([e.presence]);
  else if (e.changed) {
    refreshGroup(e.changed.conv);
    client?.resync();
  }
}

/** A message, pushed or one's own just stored. */
export function arrived(m: Message): void {
  const known = noteMessage(m);
  if (!known) client?.resync();
  rooms.get(m.conv)?.timeline.push(m);
  setTyping(m.conv, m.from, false);
  if (m.from === me.value.user) {
    if (m.client_id && m.device === device) client?.outbox.settle(m.client_id);
    return;
  }
  // Who writes has read what was there: the server moves the sender's watermark and sends no mark for it.
  if (m.kind !== 'operation' || m.body?.operation?.seq) {
    const mark = { conv: m.conv, user: m.from, read: m.seq };
    noteGroupMark(mark);
    noteMark(mark);
  }
  markDelivered(m.conv, m.seq);
  notify(m);
}

const mostNamed = 300;

function onConvs(list: ConvState[], complete: boolean): void {
  mergeConvs(list);
  for (const c of list) {
    if (c.gone) {
      rooms.delete(c.conv);
      extra.delete(c.conv);
      continue;
    }
    rooms.get(c.conv)?.timeline.reach(c.last_seq);
    if (c.delivered_seq < c.last_seq && c.unread > 0) markDelivered(c.conv, c.last_seq);
  }
  if (complete) {
    synced.value = true;
    // Names that the search goes by; the others' are asked for when they are scrolled to.
    for (const c of sorted.peek().slice(0, mostNamed)) if (c.peer) want(c.peer);
    watchPeers();
  }
}

// ---- presence ----

const mostWatched = 500; // the server's limit a connection
const extra = new Map<string, string[]>(); // by the group or the slot that shows them

/** Whom `of` shows, besides the partners of direct conversations. */
export function alsoWatch(of: string, users: string[]): void {
  extra.set(of, users);
  watchPeers();
}

/** Partners first, they are in the list of conversations all the time; then the groups, the latest first. */
function toWatch(): Set<string> {
  const users = new Set<string>();
  for (const c of convs.value.values()) if (c.peer) users.add(c.peer);
  for (const u of [...extra.values()].reverse().flat()) users.add(u);
  users.delete(me.value.user);
  return new Set([...users].slice(0, mostWatched));
}

function watchPeers(): void {
  if (client?.link.state !== 'online') return;
  const wanted = toWatch();
  const now = watched; // a new connection has a set of its own
  const stale = [...now].filter((u) => !wanted.has(u));
  const fresh = [...wanted].filter((u) => !now.has(u));
  keepPresence(wanted);
  // First: the server counts.
  if (stale.length > 0) {
    for (const u of stale) now.delete(u);
    client.request('unwatch', { users: stale }).catch(() => { for (const u of stale) now.add(u); });
  }
  if (fresh.length > 0) {
    for (const u of fresh) now.add(u);
    client.request('watch', { users: fresh }).then(
      (ok) => setPresence(ok.watch?.presence ?? []),
      () => { for (const u of fresh) now.delete(u); },
    );
  }
}

// ---- what wakes a sleeping page ----

export function listenForWaking(): void {
  const check = () => client?.check();
  addEventListener('online', check);
  addEventListener('offline', check);
  addEventListener('focus', check);
  addEventListener('pageshow', check);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) check(); });
}

