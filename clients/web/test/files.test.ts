import { effect } from '@preact/signals';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NetError } from '../src/net/error';
import { turns } from './fake-socket';

// Each download waits until the test answers it.
const asked: { id: string; ok: () => void; fail: (code: string) => void }[] = [];
vi.mock('../src/net/http', () => ({
  download: (id: string) => new Promise((resolve, reject) => {
    asked.push({ id, ok: () => resolve(new Blob(['x'])), fail: (code) => reject(new NetError(code)) });
  }),
}));
const { fileUrl, forgetFiles, retryFile, retryFiles } = await import('../src/state/files');

let drawn: ReturnType<typeof fileUrl>['value'];
let stop: () => void;
/** What a component does: it reads in its render, and is drawn again by every change. */
const draw = (id: string) => { stop = effect(() => { drawn = fileUrl(id).value; }); };

beforeEach(() => { forgetFiles(); asked.length = 0; stop = () => {}; });
afterEach(() => stop());

describe('files', () => {
  it('are asked for once, also when they cannot be loaded', async () => {
    draw('f1');
    asked[0]!.fail('not_found');
    await turns();
    expect(drawn).toEqual({ failed: true, gone: true });
    expect(asked).toHaveLength(1);
    fileUrl('f1');
    await retryFile('f1');
    await retryFiles();
    expect(asked).toHaveLength(1);
  });

  it('are asked for again by the user, and once when the connection is back', async () => {
    draw('f1');
    asked[0]!.fail('offline');
    await turns();
    expect(drawn).toEqual({ failed: true, gone: false });
    void retryFiles();
    expect(drawn).toEqual({});
    asked[1]!.fail('unavailable');
    await turns();
    expect(asked).toHaveLength(2);
    void retryFile('f1');
    void retryFile('f1');
    expect(asked).toHaveLength(3);
    asked[2]!.ok();
    await turns();
    expect(drawn.url).toMatch(/^blob:/);
    await retryFile('f1');
    expect(asked).toHaveLength(3);
  });

  it('come back one after another', async () => {
    for (const id of ['f1', 'f2', 'f3']) fileUrl(id);
    for (const a of asked) a.fail(a.id === 'f2' ? 'forbidden' : 'timeout');
    await turns();
    void retryFiles();
    expect(asked.slice(3).map((a) => a.id)).toEqual(['f1']);
    asked[3]!.ok();
    await turns();
    expect(asked.slice(3).map((a) => a.id)).toEqual(['f1', 'f3']);
  });

  it('that are on their way are not dropped for newer ones', async () => {
    const ids = Array.from({ length: 200 }, (_, i) => `f${i}`);
    for (const id of ids) fileUrl(id);
    for (const id of ids) fileUrl(id);
    expect(asked).toHaveLength(200);
    for (const a of asked) a.ok();
    await turns();
    fileUrl('one more');
    fileUrl('f0'); // the oldest of those that are there: dropped
    expect(asked.slice(200).map((a) => a.id)).toEqual(['one more', 'f0']);
  });

  it('that come after the log-out are not kept', async () => {
    const made = vi.spyOn(URL, 'createObjectURL');
    draw('f1');
    forgetFiles();
    asked[0]!.ok();
    await turns();
    expect(made).not.toHaveBeenCalled();
    expect(drawn).toEqual({});
    made.mockRestore();
  });
});
