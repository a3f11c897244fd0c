// From messages to the rows that are drawn: day separators, the unread divider, runs of one sender.
import { dayNumber } from '../i18n/time';
import type { OutItem } from '../net/outbox';
import type { Message } from '../proto';
import type { Upload } from '../state/uploads';

export type Row =
  | { type: 'day'; key: string; at: number }
  | { type: 'unread'; key: string }
  | { type: 'system'; key: string; m: Message }
  | { type: 'message'; key: string; m: Message; first: boolean; last: boolean; out?: OutItem; up?: Upload };

const runMs = 5 * 60_000;

export interface RowInput {
  messages: Message[]; out: OutItem[]; uploads: Upload[]; self: string; device: string;
  /** The divider stands before the first message of others beyond this number; -1: none. */
  unreadAfter: number;
}

export function buildRows(i: RowInput): Row[] {
  const rows: Row[] = [];
  let lastDay = NaN;
  let divided = i.unreadAfter < 0;
  let previous: Extract<Row, { type: 'message' }> | null = null;
  const stored = new Set<string>();

  const add = (m: Message, key: string, out?: OutItem, up?: Upload) => {
    const day = dayNumber(m.sent_at);
    if (day !== lastDay) {
      rows.push({ type: 'day', key: `day${day}`, at: m.sent_at });
      lastDay = day;
      previous = null;
    }
    if (!divided && m.seq > i.unreadAfter && m.from !== i.self && m.kind !== 'operation') {
      rows.push({ type: 'unread', key: 'unread' });
      divided = true;
      previous = null;
    }
    if (m.kind === 'operation') {
      rows.push({ type: 'system', key, m });
      previous = null;
      return;
    }
    const joins = previous !== null && previous.m.from === m.from && m.sent_at - previous.m.sent_at < runMs;
    if (joins) previous!.last = false;
    const row = { type: 'message' as const, key, m, first: !joins, last: true, out, up };
    rows.push(row);
    previous = row;
  };

  for (const m of i.messages) {
    // Recalls, edits and reactions show on the message they are about.
    if (m.kind === 'operation' && m.body?.operation?.seq) continue;
    const own = m.from === i.self && m.device === i.device && m.client_id;
    if (own) stored.add(m.client_id!);
    // The same key before and after the server's answer: the row stays in place.
    add(m, own ? `k${m.client_id}` : `s${m.seq}`);
  }
  const waiting: { at: number; id: string; out?: OutItem; up?: Upload }[] = [
    ...i.out.filter((o) => !stored.has(o.client_id)).map((out) => ({ at: out.at, id: out.client_id, out })),
    ...i.uploads.map((up) => ({ at: up.at, id: up.id, up })),
  ].sort((a, b) => a.at - b.at);
  for (const w of waiting) add(pending(w.at, i.self, w.out, w.up), `k${w.id}`, w.out, w.up);
  return rows;
}

/** Keeps the old object of each row that stayed the same, so that it is not drawn again. */
export function reuseRows(old: Row[], rows: Row[]): Row[] {
  const byKey = new Map(old.map((r) => [r.key, r]));
  return rows.map((r) => {
    const before = byKey.get(r.key) as Record<string, unknown> | undefined;
    const now = r as unknown as Record<string, unknown>;
    return before && Object.keys(now).every((k) => before[k] === now[k]) ? (before as unknown as Row) : r;
  });
}

function pending(at: number, self: string, out?: OutItem, up?: Upload): Message {
  return {
    conv: '', seq: Number.MAX_SAFE_INTEGER, message_id: '', from: self, sent_at: at,
    kind: out?.kind ?? up!.kind,
    body: out?.body ?? {
      text: up!.caption,
      file: { file_id: '', name: up!.file.name, size: up!.file.size, mime: up!.file.type, width: up!.width, height: up!.height },
    },
    reply_to: out?.reply_to ?? up?.reply, mentions: out?.mentions,
  };
}
