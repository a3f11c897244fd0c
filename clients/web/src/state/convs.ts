// The conversation list: what sync says, kept current by what is pushed.
import { computed, signal } from '@preact/signals';
import type { ConvState, MarkEvent, Message } from '../proto';
import { applyOperation } from '../net/operations';
import { me } from './session';
import { remember, type Profile } from './users';

export const convs = signal<ReadonlyMap<string, ConvState>>(new Map());
/** False until the first sync is complete: an empty list then means "no conversations". */
export const synced = signal(false);

export const sorted = computed(() =>
  [...convs.value.values()].sort((a, b) => activity(b) - activity(a)));
export const totalUnread = computed(() => {
  let n = 0;
  for (const c of convs.value.values()) n += c.unread;
  return n;
});

// A new group has no message yet; it belongs at the top, next to what is newest.
const createdAt = new Map<string, number>();
function activity(c: ConvState): number {
  if (c.last_message) return c.last_message.sent_at;
  if (!createdAt.has(c.conv)) createdAt.set(c.conv, Date.now());
  return createdAt.get(c.conv)!;
}

/** The lane of drafts and of the outbox; a direct conversation has one before it has an id. */
export function slotOf(c: Pick<ConvState, 'conv' | 'peer'>): string {
  return c.peer ? `@${c.peer}` : c.conv;
}

export function directWith(user: string): ConvState | undefined {
  for (const c of convs.value.values()) if (c.peer === user) return c;
  return undefined;
}

export function isAdminOf(c: Pick<ConvState, 'role'> | undefined): boolean {
  return c?.role === 'admin' || c?.role === 'owner';
}

function put(c: ConvState): void {
  const next = new Map(convs.value);
  next.set(c.conv, c);
  convs.value = next;
}

export function mergeConvs(list: ConvState[]): void {
  if (list.length === 0) return;
  const next = new Map(convs.value);
  const people: Profile[] = [];
  for (const c of list) {
    if (c.gone) {
      next.delete(c.conv);
      continue;
    }
    const old = next.get(c.conv);
    const merged = { ...c };
    if (c.kind === 'direct' && c.peer && c.title) people.push({ user: c.peer, name: c.title, avatar: c.avatar });
    if (old) {
      // What was read here a moment ago may not have reached the server when it wrote this.
      if (old.read_seq > c.read_seq) {
        merged.read_seq = old.read_seq;
        if (old.read_seq >= c.last_seq) merged.unread = 0;
      }
      merged.peer_read = Math.max(old.peer_read ?? 0, c.peer_read ?? 0);
      merged.peer_delivered = Math.max(old.peer_delivered ?? 0, c.peer_delivered ?? 0);
      if (old.last_seq > c.last_seq) {
        merged.last_seq = old.last_seq;
        merged.last_message = old.last_message;
      }
    }
    next.set(c.conv, merged);
  }
  remember(people);
  convs.value = next;
}

/** False when the conversation is not known yet: sync. */
export function noteMessage(m: Message): boolean {
  const c = convs.value.get(m.conv);
  if (!c) return false;
  if (m.seq <= c.last_seq) return true;
  const mine = m.from === me.value.user;
  const next = { ...c, last_seq: m.seq };
  const op = m.kind === 'operation' ? m.body?.operation : undefined;
  if (op?.seq) {
    if (c.last_message?.seq === op.seq) next.last_message = applyOperation(c.last_message, op, m.from, m.sent_at);
  } else {
    next.last_message = m;
  }
  if (!mine && m.kind !== 'operation' && m.seq > c.read_seq) {
    next.unread = c.unread + 1;
    if (m.mentions?.includes(me.value.user) || m.mentions?.includes('all')) next.mentioned = m.seq;
  }
  // Who writes has read what was there.
  if (mine && m.kind !== 'operation') Object.assign(next, { unread: 0, read_seq: m.seq, mentioned: 0 });
  put(next);
  return true;
}

/** Returns false when the unread count cannot be told from here: sync. */
export function noteMark(e: MarkEvent): boolean {
  const c = convs.value.get(e.conv);
  if (!c) return true;
  if (e.user === me.value.user) {
    const read = Math.max(c.read_seq, e.read ?? 0);
    if (read === c.read_seq) return true;
    const all = read >= c.last_seq;
    put({ ...c, read_seq: read, unread: all ? 0 : c.unread, mentioned: (c.mentioned ?? 0) > read ? c.mentioned : 0 });
    return all || c.unread === 0;
  }
  if (e.user === c.peer) {
    put({
      ...c,
      peer_read: Math.max(c.peer_read ?? 0, e.read ?? 0),
      peer_delivered: Math.max(c.peer_delivered ?? 0, e.delivered ?? 0, e.read ?? 0),
    });
  }
  return true;
}

/** Read here up to `seq`; `rest` counts what is unread beyond it. */
export function readHere(conv: string, seq: number, rest: number): boolean {
  const c = convs.value.get(conv);
  if (!c || seq <= c.read_seq) return false;
  put({ ...c, read_seq: seq, unread: rest, mentioned: (c.mentioned ?? 0) > seq ? c.mentioned : 0 });
  return true;
}

export function dropConv(conv: string): void {
  const next = new Map(convs.value);
  next.delete(conv);
  convs.value = next;
}

export function forgetConvs(): void {
  convs.value = new Map();
  synced.value = false;
}
