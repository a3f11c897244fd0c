import type { WireError } from '../proto';

/**
 * An error of the protocol's table, or one of the client's own: `offline` (there was no connection, nothing
 * was sent) and `timeout` (sent, not answered: it may have happened).
 */
export class NetError extends Error {
  constructor(readonly code: string, text = '', readonly retry = false, readonly retryAfterMs = 0) {
    super(text || code);
  }

  static from(e: WireError): NetError {
    return new NetError(e.code, e.text, e.retry ?? false, e.retry_after_ms ?? 0);
  }
}

const transient = new Set(['offline', 'timeout', 'uncertain', 'unavailable', 'overloaded', 'rate_limited']);

/** Whether the same request, under the same client_id, may succeed later. */
export function isTransient(e: unknown): e is NetError {
  return e instanceof NetError && (e.retry || transient.has(e.code));
}

export function errorCode(e: unknown): string {
  return e instanceof NetError ? e.code : 'internal';
}
