// Operations that change something go under a key of this device's own: when the answer is lost, the same is asked
// again under it, and the server does it once.
import type { OkResult, OpName, Ops } from '../proto';
import { Backoff } from './backoff';
import { isTransient } from './error';
import { newClientId } from './ids';

const keyed = ['recall', 'edit', 'react', 'create', 'invite', 'join', 'leave', 'kick', 'role', 'mute', 'update'] as const;
export type KeyedOp = (typeof keyed)[number];
const tries = 5;

export const isKeyed = (op: OpName): op is KeyedOp => (keyed as readonly string[]).includes(op);

/** The first answer, however often it had to be asked for; else the last error. */
export async function askOnce<K extends KeyedOp>(
  request: (op: K, args: Ops[K]) => Promise<OkResult>, op: K, args: Ops[K], random?: () => number,
): Promise<OkResult> {
  const own = { ...args, client_id: newClientId() };
  const backoff = new Backoff(500, 8_000, random);
  for (let n = 1; ; n++) {
    try {
      return await request(op, own);
    } catch (e) {
      const nothingSent = n === 1 && isTransient(e) && e.code === 'offline';
      if (!isTransient(e) || nothingSent || n === tries) throw e;
      const ms = e.retryAfterMs || backoff.next();
      await new Promise((resolve) => { setTimeout(resolve, ms); });
    }
  }
}
