import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NetError } from '../src/net/error';

const asked: { mark: unknown; ok: () => void; fail: (code: string) => void }[] = [];
vi.mock('../src/state/chat', () => ({
  linkState: { peek: () => 'online' },
  theClient: () => ({
    request: (_op: string, mark: unknown) => new Promise((resolve, reject) => {
      asked.push({ mark, ok: () => resolve({}), fail: (code) => reject(new NetError(code)) });
    }),
  }),
}));
const { flushMarks, forgetMarks, markRead } = await import('../src/state/marks');

const marks = () => asked.map((a) => a.mark);
const five = { conv: 'd:alice:bob', read: 5, delivered: 5 };
const gathered = () => vi.advanceTimersByTimeAsync(200);

beforeEach(() => { vi.useFakeTimers(); asked.length = 0; });
afterEach(() => { forgetMarks(); vi.useRealTimers(); });

describe('marks', () => {
  it('are told once, and again when the answer was lost', async () => {
    markRead('d:alice:bob', 5);
    await gathered();
    asked[0]!.fail('timeout');
    await vi.advanceTimersByTimeAsync(3000);
    asked[1]!.ok();
    await gathered();
    markRead('d:alice:bob', 5);
    await gathered();
    expect(marks()).toEqual([five, five]);
  });

  it('of one user are not those of the next', async () => {
    markRead('d:alice:bob', 5);
    await gathered();
    asked[0]!.ok();
    await gathered();
    markRead('d:alice:bob', 6);
    await gathered();
    markRead('d:alice:bob', 7); // gathered, not sent yet
    forgetMarks();
    asked[1]!.fail('timeout'); // as when the connection is closed, but with a timer
    await vi.advanceTimersByTimeAsync(10_000);
    flushMarks();
    expect(asked).toHaveLength(2);
    markRead('d:alice:bob', 5); // the other partner has read less
    await gathered();
    expect(marks()[2]).toEqual(five);
  });
});
