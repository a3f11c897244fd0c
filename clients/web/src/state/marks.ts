// Watermarks on their way to the server: gathered for a moment, kept while offline.
import { linkState, theClient } from './chat';

let pending = new Map<string, { read?: number; delivered?: number }>();
let told = new Map<string, { read: number; delivered: number }>();
let timer: ReturnType<typeof setTimeout> | undefined;

export function markRead(conv: string, seq: number): void {
  note(conv, { read: seq, delivered: seq });
}

export function markDelivered(conv: string, seq: number): void {
  note(conv, { delivered: seq });
}

function note(conv: string, mark: { read?: number; delivered?: number }): void {
  const done = told.get(conv) ?? { read: 0, delivered: 0 };
  const p = pending.get(conv) ?? {};
  const read = Math.max(p.read ?? 0, mark.read ?? 0);
  const delivered = Math.max(p.delivered ?? 0, mark.delivered ?? 0);
  if (read <= done.read && delivered <= done.delivered) return;
  pending.set(conv, { ...(read > done.read ? { read } : {}), ...(delivered > done.delivered ? { delivered } : {}) });
  timer ??= setTimeout(flushMarks, 200);
}

export function flushMarks(): void {
  clearTimeout(timer);
  timer = undefined;
  if (linkState.peek() !== 'online') return;
  // An answer that comes after a log-out ends up in these, not in the next user's.
  const [waiting, done] = [pending, told];
  for (const [conv, mark] of [...waiting]) {
    waiting.delete(conv);
    theClient().request('mark', { conv, ...mark }).then(
      () => {
        const old = done.get(conv) ?? { read: 0, delivered: 0 };
        done.set(conv, { read: Math.max(old.read, mark.read ?? 0), delivered: Math.max(old.delivered, mark.delivered ?? 0) });
      },
      (e: { code?: string; retry?: boolean }) => {
        if (e.code === 'offline' || e.code === 'timeout' || e.retry) {
          waiting.set(conv, { ...mark, ...waiting.get(conv) });
          if (e.code !== 'offline' && waiting === pending) timer ??= setTimeout(flushMarks, 3000);
        }
      },
    );
  }
}

export function forgetMarks(): void {
  clearTimeout(timer);
  timer = undefined;
  pending = new Map();
  told = new Map();
}
