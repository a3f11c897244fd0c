import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NetError } from '../src/net/error';
import { turns } from './fake-socket';

const calls: { name: string; signal: AbortSignal; ok: () => void; fail: (e: NetError) => void }[] = [];
const added: any[] = [];
let loggedIn = true;
vi.mock('../src/net/http', () => ({
  upload: (_file: Blob, name: string, _onProgress: unknown, signal: AbortSignal) => new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new NetError('cancelled')));
    calls.push({ name, signal, ok: () => resolve({ file_id: `id-${name}` }), fail: reject });
  }),
}));
vi.mock('../src/state/chat', () => ({
  theClient: () => {
    if (!loggedIn) throw new Error('not logged in');
    return { outbox: { add: (item: unknown) => added.push(item) } };
  },
}));
vi.mock('../src/state/files', () => ({ seedFile: () => {} }));
vi.mock('../src/state/session', () => ({ serverInfo: { peek: () => ({ max_file_bytes: 100 }) } }));
const { cancelUpload, forgetUploads, retryUpload, sendFiles, uploads } = await import('../src/state/uploads');

vi.stubGlobal('Image', class {
  naturalWidth = 3;
  naturalHeight = 2;
  onload = () => {};
  set src(_: string) { queueMicrotask(() => this.onload()); }
});
const file = (name: string, type = 'text/plain', size = 1) => ({ name, type, size }) as File;
const send = (names: string[], slot = 'c1') => sendFiles(slot, { conv: slot }, names.map((n) => file(n)), 'look', 7);
const names = () => calls.map((c) => c.name);
const sent = () => added.map((m) => m.body.file.name);
const answer = async (n: number) => { calls[n]!.ok(); await turns(30); };
const refuse = async (n: number, code: string, retryAfterMs = 0) => { calls[n]!.fail(new NetError(code, '', false, retryAfterMs)); await turns(30); };

beforeEach(() => { vi.useFakeTimers(); calls.length = 0; added.length = 0; loggedIn = true; });
afterEach(() => { forgetUploads(); vi.useRealTimers(); vi.restoreAllMocks(); });

describe('uploads', () => {
  it('go one after another and arrive in their order', async () => {
    await send(['a', 'b', 'c']);
    await turns();
    expect(names()).toEqual(['a']);
    expect(uploads.value.map((u) => u.file.name)).toEqual(['a', 'b', 'c']);
    for (const n of [0, 1, 2]) await answer(n);
    expect(sent()).toEqual(['a', 'b', 'c']);
    expect(added.map((m) => [m.body.text, m.reply_to])).toEqual([['look', 7], [undefined, undefined], [undefined, undefined]]);
    expect(uploads.value).toEqual([]);
  });

  it('wait for those of their own conversation only', async () => {
    await send(['a', 'b']);
    await send(['x'], 'c2');
    await turns();
    expect(names()).toEqual(['a', 'x']);
    await answer(1);
    expect(sent()).toEqual(['x']);
  });

  it('are tried again after the time a busy server asks for', async () => {
    await send(['a', 'b']);
    await turns();
    await refuse(0, 'overloaded', 2000);
    await vi.advanceTimersByTimeAsync(1999);
    expect(names()).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(1);
    expect(names()).toEqual(['a', 'a']);
    await answer(1);
    await answer(2);
    expect(sent()).toEqual(['a', 'b']);
  });

  it('fail at once when they are refused, and the next one goes', async () => {
    await send(['a', 'b']);
    await turns();
    await refuse(0, 'too_large');
    expect(uploads.value.map((u) => u.error)).toEqual(['too_large', undefined]);
    await answer(1);
    expect(sent()).toEqual(['b']);
    expect(uploads.value.map((u) => u.file.name)).toEqual(['a']);
  });

  it('that the server would not take are not begun', async () => {
    await sendFiles('c1', { conv: 'c1' }, [file('a', 'text/plain', 101), file('b', 'text/plain', 100)], '');
    await turns(30);
    expect(uploads.value.map((u) => u.error)).toEqual(['too_large', undefined]);
    expect(names()).toEqual(['b']);
  });

  it('are not tried for ever, but again when the user says so', async () => {
    await send(['a']);
    await turns();
    for (let n = 0; n < 6; n++) {
      await refuse(n, 'offline');
      await vi.advanceTimersByTimeAsync(30_000);
    }
    expect(calls).toHaveLength(6);
    const { id, error } = uploads.value[0]!;
    expect(error).toBe('offline');
    retryUpload(id);
    retryUpload(id);
    await turns();
    await answer(6);
    expect(sent()).toEqual(['a']);
    expect(calls).toHaveLength(7);
  });

  it('can be cancelled on their way, while they wait for another try and for their turn', async () => {
    await send(['a', 'b', 'c', 'd']);
    await turns();
    const id = (name: string) => uploads.value.find((u) => u.file.name === name)!.id;
    cancelUpload(id('a'));
    cancelUpload(id('b'));
    await turns(30);
    expect(names()).toEqual(['a', 'c']);
    await refuse(1, 'unavailable', 1000);
    cancelUpload(id('c'));
    await turns(30);
    expect(names()).toEqual(['a', 'c', 'd']);
    await answer(2);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(names()).toEqual(['a', 'c', 'd']);
    expect(sent()).toEqual(['d']);
  });

  it('of a tab that another one took the place of stay, to be tried again', async () => {
    await send(['a']);
    await turns();
    loggedIn = false;
    await answer(0);
    expect(uploads.value.map((u) => u.error)).toEqual(['internal']);
    expect(added).toEqual([]);
  });

  it('end with the log-out', async () => {
    vi.spyOn(URL, 'createObjectURL').mockReturnValue('blob:p');
    const revoked = vi.spyOn(URL, 'revokeObjectURL').mockImplementation(() => {});
    await sendFiles('c1', { conv: 'c1' }, [file('p.png', 'image/png'), file('b')], '');
    await turns();
    expect(uploads.value.map((u) => u.width)).toEqual([3, undefined]);
    const measuring = sendFiles('c1', { conv: 'c1' }, [file('q.png', 'image/png')], '');
    calls[0]!.ok(); // in the same moment
    forgetUploads();
    await measuring;
    await turns(30);
    expect(calls).toHaveLength(1);
    expect(calls[0]!.signal.aborted).toBe(true);
    expect(uploads.value).toEqual([]);
    expect(added).toEqual([]);
    expect(revoked).toHaveBeenCalledTimes(2);
    await send(['next']);
    await turns();
    expect(names()).toEqual(['p.png', 'next']);
  });
});
