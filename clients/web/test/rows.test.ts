import { describe, expect, it, vi } from 'vitest';
import type { Message } from '../src/proto';

vi.stubGlobal('navigator', { language: 'en', languages: ['en'] });
vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener() {} }));
vi.stubGlobal('localStorage', { getItem: () => null, setItem() {}, removeItem() {} });
const { buildRows, reuseRows } = await import('../src/ui/rows');
const { mentionAt, mentionedIn } = await import('../src/ui/Mentions');
const { t } = await import('../src/i18n');
const { en } = await import('../src/i18n/en');
const { zh } = await import('../src/i18n/zh');

const noon = new Date(2026, 5, 1, 12).getTime();
const m = (seq: number, from: string, minutes: number, extra: Partial<Message> = {}): Message =>
  ({ conv: 'c', seq, message_id: '', from, sent_at: noon + minutes * 60_000, kind: 'text', body: { text: `${seq}` }, ...extra });
const input = { out: [], uploads: [], self: 'me', device: 'web-1', unreadAfter: -1 };

describe('rows', () => {
  it('group runs of one sender and part days', () => {
    const rows = buildRows({ ...input, messages: [m(1, 'bob', 0), m(2, 'bob', 1), m(3, 'bob', 30), m(4, 'amy', 31), m(5, 'amy', 24 * 60)] });
    expect(rows.map((r) => r.type)).toEqual(['day', 'message', 'message', 'message', 'message', 'day', 'message']);
    const flags = rows.flatMap((r) => (r.type === 'message' ? [[r.first, r.last]] : []));
    expect(flags).toEqual([[true, false], [false, true], [true, true], [true, true], [true, true]]);
  });

  it('put the divider before the first unread message of others', () => {
    const rows = buildRows({ ...input, unreadAfter: 1, messages: [m(1, 'bob', 0), m(2, 'me', 1), m(3, 'bob', 2), m(4, 'bob', 3)] });
    expect(rows.map((r) => r.key)).toEqual([expect.stringContaining('day'), 's1', 's2', 'unread', 's3', 's4']);
  });

  it('hide operations on messages and show those on the group', () => {
    const op = (seq: number, operation: any) => m(seq, 'bob', seq, { kind: 'operation', body: { operation } });
    const rows = buildRows({ ...input, messages: [op(1, { op: 'created' }), op(2, { op: 'recall', seq: 9 })] });
    expect(rows.map((r) => r.type)).toEqual(['day', 'system']);
  });

  it('keep the key of a message when it is stored, and show it once', () => {
    const out = { slot: 'c', to: { conv: 'c' }, client_id: 'k1', kind: 'text' as const, body: { text: 'x' }, at: noon, state: 'sending' as const };
    const before = buildRows({ ...input, messages: [], out: [out] });
    const stored = m(7, 'me', 0, { client_id: 'k1', device: 'web-1' });
    const after = buildRows({ ...input, messages: [stored], out: [out] });
    expect(before.at(-1)!.key).toBe('kk1');
    expect(after.filter((r) => r.key === 'kk1')).toHaveLength(1);
  });

  it('are the same objects when nothing changed', () => {
    const messages = [m(1, 'bob', 0), m(2, 'bob', 1)];
    const first = buildRows({ ...input, messages });
    const next = reuseRows(first, buildRows({ ...input, messages: [...messages, m(3, 'amy', 2)] }));
    expect(next[1]).toBe(first[1]);
    expect(next[2]).toBe(first[2]);
  });
});

describe('mentions', () => {
  it('are offered behind an @ that begins a word', () => {
    expect(mentionAt('hi @al', 6)).toEqual({ from: 3, query: 'al' });
    expect(mentionAt('你好，@王', 5)).toEqual({ from: 3, query: '王' });
    expect(mentionAt('mail a@b', 8)).toBeNull();
  });

  it('name members only', () => {
    expect(mentionedIn('@bob and @eve, not x@bob', ['bob', 'amy'], false)).toEqual(['bob']);
    expect(mentionedIn('@all', ['bob'], true)).toEqual(['all']);
    expect(mentionedIn('@all', ['bob'], false)).toEqual([]);
  });
});

describe('texts', () => {
  it('have the same places to fill in both languages', () => {
    const places = (s: string) => [...new Set(s.match(/\{\w+\}/g) ?? [])].sort().join();
    for (const k of Object.keys(en) as (keyof typeof en)[]) expect([k, places(zh[k])]).toEqual([k, places(en[k])]);
  });

  it('count', () => {
    expect(t('n_members', { n: 1 })).toBe('1 member');
    expect(t('n_members', { n: 2 })).toBe('2 members');
  });
});
