// What passes by and is not kept: presence and typing.
import { signal } from '@preact/signals';
import type { Presence } from '../proto';

export const presence = signal<ReadonlyMap<string, Presence>>(new Map());
/** Per conversation: user -> until when. */
export const typing = signal<ReadonlyMap<string, ReadonlyMap<string, number>>>(new Map());

const typingMs = 6000;

export function setPresence(list: Presence[]): void {
  if (list.length === 0) return;
  const next = new Map(presence.value);
  for (const p of list) next.set(p.user, p);
  presence.value = next;
}

/** Of the others nothing is heard any more: what is known of them would stay as it is. */
export function keepPresence(users: ReadonlySet<string>): void {
  const next = new Map([...presence.value].filter(([user]) => users.has(user)));
  if (next.size < presence.value.size) presence.value = next;
}

export function setTyping(conv: string, user: string, on: boolean): void {
  const had = typing.value.get(conv)?.has(user) ?? false;
  if (!on && !had) return;
  const inside = new Map(typing.value.get(conv) ?? []);
  if (on) inside.set(user, Date.now() + typingMs);
  else inside.delete(user);
  const next = new Map(typing.value);
  if (inside.size > 0) next.set(conv, inside);
  else next.delete(conv);
  typing.value = next;
  if (on) setTimeout(() => expire(conv, user), typingMs + 50);
}

function expire(conv: string, user: string): void {
  const until = typing.value.get(conv)?.get(user);
  if (until !== undefined && until <= Date.now()) setTyping(conv, user, false);
}

export function forgetLive(): void {
  presence.value = new Map();
  typing.value = new Map();
}
