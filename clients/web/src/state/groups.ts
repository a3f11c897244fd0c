// Members of the groups that were opened, with their watermarks.
import { signal, type Signal } from '@preact/signals';
import type { ConvInfo, MarkEvent, Member } from '../proto';
import { alsoWatch, theClient } from './chat';
import { convs } from './convs';
import { remember } from './users';

export interface Group { members: Member[]; complete: boolean; info?: ConvInfo }

const groups = new Map<string, Signal<Group>>();

export function groupOf(conv: string): Signal<Group> {
  let g = groups.get(conv);
  if (!g) {
    g = signal<Group>({ members: [], complete: false });
    groups.set(conv, g);
    load(conv, g).catch(() => {});
  }
  return g;
}

/** Membership or settings changed, or the connection was away. */
export function refreshGroup(conv: string): void {
  const g = groups.get(conv);
  if (g) load(conv, g).catch(() => {});
}

async function load(conv: string, g: Signal<Group>): Promise<void> {
  const client = theClient();
  const [members, info] = await Promise.all([
    client.request('members', { conv, limit: 1000 }),
    client.request('info', { conv }),
  ]);
  const list = members.members?.members ?? [];
  remember(list.map((m) => ({ user: m.user, name: m.name })));
  g.value = { members: list, complete: !members.members?.more, info: info.info };
  if (convs.peek().get(conv)?.kind === 'group') alsoWatch(list.slice(0, 100).map((m) => m.user));
}

export function noteGroupMark(e: MarkEvent): void {
  const g = groups.get(e.conv);
  if (!g) return;
  g.value = {
    ...g.value,
    members: g.value.members.map((m) => m.user !== e.user ? m : {
      ...m,
      read: Math.max(m.read ?? 0, e.read ?? 0),
      delivered: Math.max(m.delivered ?? 0, e.delivered ?? 0, e.read ?? 0),
    }),
  };
}

export function forgetGroups(): void {
  groups.clear();
}
