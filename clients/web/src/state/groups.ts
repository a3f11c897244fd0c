// Members of the groups that were opened, with their watermarks.
import { signal, type Signal } from '@preact/signals';
import { isTransient } from '../net/error';
import type { ConvInfo, MarkEvent, Member } from '../proto';
import { alsoWatch, theClient } from './chat';
import { convs } from './convs';
import { remember } from './users';

export interface Group { members: Member[]; complete: boolean; info?: ConvInfo }

const groups = new Map<string, Signal<Group>>();
const rounds = new Map<string, number>(); // a slow answer must not replace a newer one

export function groupOf(conv: string): Signal<Group> {
  let g = groups.get(conv);
  if (!g) {
    g = signal<Group>({ members: [], complete: false });
    groups.set(conv, g);
    refreshGroup(conv);
  }
  return g;
}

/** Membership or settings changed, or the connection was away. */
export function refreshGroup(conv: string): void {
  const g = groups.get(conv);
  if (!g) return;
  const round = (rounds.get(conv) ?? 0) + 1;
  const current = () => groups.get(conv) === g && rounds.get(conv) === round;
  rounds.set(conv, round);
  load(conv, g, current).catch((e: unknown) => {
    // Without a connection the next one asks again.
    if (isTransient(e) && e.code !== 'offline') setTimeout(() => { if (current()) refreshGroup(conv); }, e.retryAfterMs || 3000);
  });
}

async function load(conv: string, g: Signal<Group>, current: () => boolean): Promise<void> {
  const client = theClient();
  const [members, info] = await Promise.all([
    client.request('members', { conv, limit: 1000 }),
    client.request('info', { conv }),
  ]);
  if (!current()) return;
  const list = members.members?.members ?? [];
  remember(list.map((m) => ({ user: m.user, name: m.name })));
  const marks = marksOf(conv);
  g.value = { members: list.map((m) => raise(m, marks.get(m.user))), complete: !members.members?.more, info: info.info };
  if (convs.peek().get(conv)?.kind === 'group') alsoWatch(conv, list.slice(0, 100).map((m) => m.user));
}

// What was pushed, by user: a mark may overtake the answer that lists the members, and is newer than it.
type Marks = Map<string, { read: number; delivered: number }>;
const pushed = new Map<string, Marks>();

function marksOf(conv: string): Marks {
  let marks = pushed.get(conv);
  if (!marks) pushed.set(conv, marks = new Map());
  return marks;
}

function raise(m: Member, by?: { read: number; delivered: number }): Member {
  return by ? { ...m, read: Math.max(m.read ?? 0, by.read), delivered: Math.max(m.delivered ?? 0, by.delivered) } : m;
}

export function noteGroupMark(e: MarkEvent): void {
  const g = groups.get(e.conv);
  if (!g) return;
  const marks = marksOf(e.conv);
  const old = marks.get(e.user);
  const mark = {
    read: Math.max(old?.read ?? 0, e.read ?? 0),
    delivered: Math.max(old?.delivered ?? 0, e.delivered ?? 0, e.read ?? 0),
  };
  marks.set(e.user, mark);
  g.value = { ...g.value, members: g.value.members.map((m) => (m.user === e.user ? raise(m, mark) : m)) };
}

export function forgetGroups(): void {
  groups.clear();
  pushed.clear();
  rounds.clear();
}
