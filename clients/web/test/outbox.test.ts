import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NetError } from '../src/net/error';
import { Outbox, type OutItem } from '../src/net/outbox';
import { turns } from './fake-socket';

let disk: string;
let calls: { id: string; ok: (seq: number) => void; fail: (e: unknown) => void }[];
let done: string[];
let items: OutItem[];

const make = () => new Outbox({
  load: () => JSON.parse(disk),
  save: (i) => { disk = JSON.stringify(i); },
  send: (m) => new Promise((resolve, reject) => calls.push({
    id: m.client_id,
    ok: (seq) => resolve({ conv: 'c1', seq, sent_at: 1 }),
    fail: reject,
  })),
  onSent: (i) => done.push(i.client_id),
  onChange: (i) => { items = i; },
  random: () => 1,
});
const msg = (id: string, slot = '@bob') =>
  ({ slot, to: { user: 'bob' }, client_id: id, kind: 'text' as const, body: { text: id }, at: 1 });

beforeEach(() => { vi.useFakeTimers(); disk = '[]'; calls = []; done = []; items = []; });
afterEach(() => vi.useRealTimers());

describe('outbox', () => {
  it('stores before it sends, and forgets after the answer', async () => {
    const box = make();
    box.add(msg('a'));
    expect(JSON.parse(disk)).toMatchObject([{ client_id: 'a', state: 'queued' }]);
    expect(calls).toHaveLength(0);
    box.setOnline(true);
    expect(calls.map((c) => c.id)).toEqual(['a']);
    calls[0]!.ok(1);
    await turns();
    expect(disk).toBe('[]');
    expect(done).toEqual(['a']);
  });

  it('sends a conversation in order, one at a time; conversations do not wait for each other', async () => {
    const box = make();
    box.setOnline(true);
    box.add(msg('a')); box.add(msg('b')); box.add(msg('x', 'c9'));
    expect(calls.map((c) => c.id)).toEqual(['a', 'x']);
    calls[0]!.ok(1);
    await turns();
    expect(calls.map((c) => c.id)).toEqual(['a', 'x', 'b']);
  });

  it('survives a reload in the middle of sending, under the same client_id', async () => {
    const box = make();
    box.setOnline(true);
    box.add(msg('a'));
    expect(JSON.parse(disk)[0].state).toBe('sending');
    const next = make();
    next.setOnline(true);
    expect(calls.map((c) => c.id)).toEqual(['a', 'a']);
  });

  it('resends what was not answered when the connection comes back', async () => {
    const box = make();
    box.setOnline(true);
    box.add(msg('a')); box.add(msg('b'));
    calls[0]!.fail(new NetError('offline'));
    box.setOnline(false);
    await turns();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls).toHaveLength(1);
    box.setOnline(true);
    expect(calls.map((c) => c.id)).toEqual(['a', 'a']);
    calls[1]!.ok(1);
    await turns();
    expect(calls.map((c) => c.id)).toEqual(['a', 'a', 'b']);
  });

  it.each(['uncertain', 'unavailable', 'timeout', 'overloaded'])('retries after %s with backoff, keeping the order', async (code) => {
    const box = make();
    box.setOnline(true);
    box.add(msg('a')); box.add(msg('b'));
    calls[0]!.fail(new NetError(code));
    await vi.advanceTimersByTimeAsync(500);
    expect(calls.map((c) => c.id)).toEqual(['a', 'a']);
    calls[1]!.fail(new NetError(code));
    await vi.advanceTimersByTimeAsync(999);
    expect(calls).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(calls.map((c) => c.id)).toEqual(['a', 'a', 'a']);
  });

  it('holds every conversation back while rate limited', async () => {
    const box = make();
    box.setOnline(true);
    box.add(msg('a'));
    calls[0]!.fail(new NetError('rate_limited', '', true, 7000));
    await turns();
    box.add(msg('x', 'c9'));
    await vi.advanceTimersByTimeAsync(6999);
    expect(calls).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2);
    expect(calls.map((c) => c.id).sort()).toEqual(['a', 'a', 'x']);
  });

  it('marks a permanent failure, goes on with the next, and retries by hand', async () => {
    const box = make();
    box.setOnline(true);
    box.add(msg('a')); box.add(msg('b'));
    calls[0]!.fail(new NetError('forbidden'));
    await turns();
    expect(items[0]).toMatchObject({ client_id: 'a', state: 'failed', error: 'forbidden' });
    expect(calls.map((c) => c.id)).toEqual(['a', 'b']);
    calls[1]!.ok(1);
    await turns();
    box.retry('a');
    expect(calls.at(-1)!.id).toBe('a');
  });

  it('forgets a message that was seen stored', async () => {
    const box = make();
    box.add(msg('a'));
    box.settle('a'); box.settle('zzz');
    expect(items).toEqual([]);
    box.setOnline(true);
    expect(calls).toEqual([]);
  });
});
