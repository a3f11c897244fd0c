import { beforeEach, describe, expect, it } from 'vitest';
import { Timeline } from '../src/net/timeline';
import type { Message, Page } from '../src/proto';
import { turns } from './fake-socket';

const m = (seq: number, extra: Partial<Message> = {}): Message =>
  ({ conv: 'c', seq, message_id: `m${seq}`, from: 'bob', sent_at: seq, kind: 'text', body: { text: `t${seq}` }, ...extra });
const op = (seq: number, operation: any, from = 'bob') => m(seq, { kind: 'operation', from, body: { operation } });

let store: Message[];
let asked: any[];
let line: Timeline;
let shown: number[];

beforeEach(() => {
  store = []; asked = []; shown = [];
  line = new Timeline({
    fetch: async (r): Promise<Page> => {
      asked.push(r);
      if (r.after !== undefined) {
        const all = store.filter((x) => x.seq > r.after!);
        return { messages: all.slice(0, r.limit), more: all.length > r.limit };
      }
      const all = store.filter((x) => r.before === undefined || x.seq < r.before);
      return { messages: all.slice(-r.limit), more: all.length > r.limit };
    },
    onChange: (list) => { shown = list.map((x) => x.seq); },
  });
});
/** The next answers are made at once and arrive when the returned function is called. */
const hold = () => {
  const good = (line as any).o.fetch;
  let release = () => {};
  const gate = new Promise<void>((resolve) => { release = resolve; });
  (line as any).o.fetch = async (r: unknown) => {
    const page = await good(r);
    await gate;
    return page;
  };
  return () => release();
};
const fillStore = (from: number, to: number) => { for (let i = from; i <= to; i++) store.push(m(i)); };

describe('timeline', () => {
  it('loads the newest page and pages back without doubling', async () => {
    fillStore(1, 150);
    await line.open();
    expect(shown[0]).toBe(91);
    await Promise.all([line.back(), line.back()]);
    await line.back();
    expect(shown).toEqual(store.map((x) => x.seq));
    expect(line.older).toBe(false);
    const n = asked.length;
    await line.back();
    expect(asked).toHaveLength(n);
  });

  it('forgets what was scrolled back to, and loads it again', async () => {
    fillStore(1, 400);
    await line.open();
    while (line.older) await line.back();
    expect(shown).toHaveLength(400);
    line.trim();
    expect([shown[0], shown.length, line.older, line.get(200)]).toEqual([201, 200, true, undefined]);
    line.push(m(401));
    while (line.older) await line.back();
    expect(shown).toEqual(Array.from({ length: 401 }, (_, i) => i + 1));
  });

  it('shows each sequence number once', async () => {
    fillStore(1, 3);
    await line.open();
    line.push(m(3)); line.push(m(4)); line.push(m(4)); line.push(m(2));
    expect(shown).toEqual([1, 2, 3, 4]);
    expect(asked).toHaveLength(1);
  });

  it('fetches a gap before it shows what is beyond', async () => {
    fillStore(1, 2);
    await line.open();
    store.push(m(3), m(4), m(5));
    line.push(m(5));
    expect(shown).toEqual([1, 2]);
    await turns(30);
    expect(shown).toEqual([1, 2, 3, 4, 5]);
    expect(asked.at(-1)).toEqual({ after: 2, limit: 200 });
  });

  it('does not wait for numbers that do not exist for this user', async () => {
    fillStore(1, 2);
    await line.open();
    store.push(m(7));
    line.push(m(7));
    await turns(30);
    expect(shown).toEqual([1, 2, 7]);
    line.push(m(8));
    expect(shown).toEqual([1, 2, 7, 8]);
  });

  it('keeps what is pushed while the first page loads', async () => {
    fillStore(1, 2);
    const opening = line.open();
    line.push(m(3));
    await opening;
    expect(shown).toEqual([1, 2, 3]);
  });

  it('starts again at the newest page after a very long absence', async () => {
    fillStore(1, 2);
    await line.open();
    fillStore(3, 2000);
    line.reach(2000);
    await turns(30);
    expect(shown[0]).toBe(1941);
    expect(shown.at(-1)).toBe(2000);
    expect(line.older).toBe(true);
  });

  it('applies live operations', async () => {
    fillStore(1, 3);
    await line.open();
    line.push(op(4, { op: 'edit', seq: 1, body: { text: 'new' } }));
    line.push(op(5, { op: 'recall', seq: 2 }));
    line.push(op(6, { op: 'react', seq: 3, emoji: '👍', on: true }));
    line.push(op(7, { op: 'react', seq: 3, emoji: '👍', on: true }, 'amy'));
    expect(line.get(1)).toMatchObject({ body: { text: 'new' }, edited_at: 4 });
    expect(line.get(2)).toMatchObject({ recalled: true, body: {} });
    expect(line.get(3)!.reactions).toEqual([{ emoji: '👍', users: ['bob', 'amy'] }]);
    line.push(op(8, { op: 'react', seq: 3, emoji: '👍', on: false }));
    line.push(op(9, { op: 'react', seq: 3, emoji: '👍', on: false }, 'amy'));
    expect(line.get(3)!.reactions).toEqual([]);
  });

  it('does not apply old operations to pages that show their results already', async () => {
    store.push(m(1, { body: { text: 'final' } }), op(2, { op: 'edit', seq: 1, body: { text: 'first edit' } }));
    fillStore(3, 70);
    await line.open();
    await line.back();
    expect(line.get(1)!.body!.text).toBe('final');
  });

  it('fetches what came after the answer to a gap was made', async () => {
    fillStore(1, 2);
    await line.open();
    const letGo = hold();
    fillStore(3, 3);
    line.reach(3);
    fillStore(4, 5);
    line.reach(5); // the answer on its way ends at 3
    letGo();
    await turns(30);
    expect(shown).toEqual([1, 2, 3, 4, 5]);
    line.reach(5);
    expect(asked).toHaveLength(3);
  });

  it('applies what is pushed while the page of its message loads', async () => {
    fillStore(1, 70);
    await line.open();
    expect(shown[0]).toBe(11);
    const letGo = hold();
    const paging = line.back();
    line.push(op(71, { op: 'edit', seq: 1, body: { text: 'first' } }));
    line.push(op(72, { op: 'edit', seq: 1, body: { text: 'final' } }));
    line.push(op(73, { op: 'recall', seq: 2 }));
    line.push(op(74, { op: 'react', seq: 99, emoji: '👍', on: true })); // on nothing that there is
    letGo();
    await paging;
    expect(shown[0]).toBe(1);
    expect(line.get(1)).toMatchObject({ body: { text: 'final' }, edited_at: 72 });
    expect(line.messages[0]).toBe(line.get(1));
    expect(line.get(2)).toMatchObject({ recalled: true, body: {} });
  });

  it('tries a failed gap again at the next sign', async () => {
    fillStore(1, 2);
    await line.open();
    const good = (line as any).o.fetch;
    (line as any).o.fetch = async () => { throw new Error('offline'); };
    line.reach(4);
    await turns(30);
    expect(shown).toEqual([1, 2]);
    (line as any).o.fetch = good;
    fillStore(3, 4);
    line.reach(4);
    await turns(30);
    expect(shown).toEqual([1, 2, 3, 4]);
  });
});
