import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NetError } from '../src/net/error';
import { askOnce } from '../src/net/repeat';

describe('operations that are repeated', () => {
  beforeEach(() => { vi.useFakeTimers(); });
  afterEach(() => { vi.useRealTimers(); });

  it('keeps its key until there is an answer', async () => {
    const keys: (string | undefined)[] = [];
    const request = vi.fn(async (_op: 'recall', args: { client_id?: string }) => {
      keys.push(args.client_id);
      if (keys.length < 3) throw new NetError(keys.length === 1 ? 'uncertain' : 'timeout', '', true);
      return { recall: { conv: 'c', seq: 9, message_id: 'm', sent_at: 1 } };
    });
    const answer = askOnce(request, 'recall', { conv: 'c', seq: 3 });
    await vi.runAllTimersAsync();
    expect((await answer).recall?.seq).toBe(9);
    expect(keys).toHaveLength(3);
    expect(keys[0]).toMatch(/^[!-~]{1,64}$/);
    expect(new Set(keys).size).toBe(1);
  });

  it('has a new key for a new operation', async () => {
    const keys: (string | undefined)[] = [];
    const request = async (_op: 'recall', args: { client_id?: string }) => { keys.push(args.client_id); return {}; };
    await askOnce(request, 'recall', { conv: 'c', seq: 3 });
    await askOnce(request, 'recall', { conv: 'c', seq: 3 });
    expect(new Set(keys).size).toBe(2);
  });

  it('gives up at a refusal at once, and at silence after some tries', async () => {
    const refused = vi.fn(async () => { throw new NetError('forbidden'); });
    await expect(askOnce(refused, 'leave', { conv: 'c' })).rejects.toMatchObject({ code: 'forbidden' });
    expect(refused).toHaveBeenCalledTimes(1);
    const silent = vi.fn(async () => { throw new NetError('timeout'); });
    const answer = expect(askOnce(silent, 'leave', { conv: 'c' })).rejects.toMatchObject({ code: 'timeout' });
    await vi.runAllTimersAsync();
    await answer;
    expect(silent).toHaveBeenCalledTimes(5);
  });
});
