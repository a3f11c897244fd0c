// Watermarks on their way to the server: gathered for a moment, kept while offline.
import { linkState, theClient } from './chat';

const pending = new Map<string, { read?: number; delivered?: number }>();
const told = new Map<string, { read: number; delivered: number }>();
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
  for (const [conv, mark] of [...pending]) {
    pending.delete(conv);
    theClient().request('mark', { conv, ...mark }).then(
      () => {
        const done = told.get(conv) ?? { read: 0, delivered: 0 };
        told.set(conv, { read: Math.max(done.read, mark.read ?? 0), delivered: Math.max(done.delivered, mark.delivered ?? 0) });
      },
      (e: { code?: string; retry?: boolean }) => {
        if (e.code === 'offline' || e.code === 'timeout' || e.retry) {
          pending.set(conv, { ...mark, ...pending.get(conv) });
          if (e.code !== 'offline') timer ??= setTimeout(flushMarks, 3000);
        }
      },
    );
  }
}
