// Names and pictures of users, asked for once when somebody appears on the screen.
import { signal } from '@preact/signals';
import { isTransient } from '../net/error';
import { http } from '../net/http';
import { me } from './session';

export interface Profile { user: string; name?: string; about?: string; avatar?: string }

export const users = signal<ReadonlyMap<string, Profile>>(new Map());
const asked = new Set<string>();
const queue: string[] = [];
let busy = 0;

export function remember(list: Profile[]): void {
  if (list.length === 0) return;
  const next = new Map(users.value);
  for (const p of list) {
    const old = next.get(p.user);
    next.set(p.user, { ...old, ...p, name: p.name || old?.name });
  }
  users.value = next;
}

export function nameOf(user: string): string {
  if (user === me.value.user) return me.value.name || user;
  want(user);
  return users.value.get(user)?.name || user;
}

/** The name as far as it is known; asks nobody. */
export function knownName(user: string): string {
  return users.value.get(user)?.name || user;
}

export function avatarOf(user: string): string | undefined {
  return user === me.value.user ? me.value.avatar : users.value.get(user)?.avatar;
}

export function want(user: string): void {
  if (!user || asked.has(user) || user === me.value.user) return;
  asked.add(user);
  queue.push(user);
  pump();
}

// A few at a time: a long conversation list should not open with a burst.
function pump(): void {
  while (busy < 4 && queue.length > 0) {
    const user = queue.shift()!;
    busy++;
    http<Profile>('GET', `/users/${encodeURIComponent(user)}`)
      .then((p) => remember([p]), (e: unknown) => {
        if (!isTransient(e)) return;
        setTimeout(() => { asked.delete(user); want(user); }, e.retryAfterMs || 5000);
      })
      .finally(() => { busy--; pump(); });
  }
}

export async function searchUsers(q: string): Promise<Profile[]> {
  const answer = await http<{ users?: Profile[] }>('GET', `/users?q=${encodeURIComponent(q)}&limit=30`);
  const list = answer.users ?? [];
  remember(list);
  for (const p of list) asked.add(p.user);
  return list;
}

export function forgetUsers(): void {
  users.value = new Map();
  asked.clear();
  queue.length = 0;
}
