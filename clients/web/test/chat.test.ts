import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeSocket, turns } from './fake-socket';

// The whole of state/ as it runs in the browser, on a socket of the test's; REST has no network.
class FakeRequest {
  static aborted = 0;
  upload = {};
  onabort = () => {};
  open() {}
  setRequestHeader() {}
  send() {}
  abort() { FakeRequest.aborted++; this.onabort(); }
}
vi.stubGlobal('navigator', { language: 'en', languages: ['en'], userAgent: 'test' });
vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener() {} }));
vi.stubGlobal('localStorage', { getItem: () => null, setItem() {}, removeItem() {} });
vi.stubGlobal('location', { hash: '', protocol: 'http:', host: 'pigeon', origin: 'http://pigeon' });
vi.stubGlobal('addEventListener', () => {});
vi.stubGlobal('fetch', () => Promise.reject(new Error('no network')));
vi.stubGlobal('WebSocket', FakeSocket);
vi.stubGlobal('XMLHttpRequest', FakeRequest);
const { alsoWatch, forgetChat, startChat } = await import('../src/state/chat');
const { presence } = await import('../src/state/live');
const { markRead } = await import('../src/state/marks');
const { session } = await import('../src/state/session');
const { sendFiles, uploads } = await import('../src/state/uploads');

const names = (letter: string, n: number) => Array.from({ length: n }, (_, i) => `${letter}${i}`);
const conv = { last_seq: 0, read_seq: 0, delivered_seq: 0, unread: 0, version: 1 };
const direct = (peer: string) => ({ ...conv, conv: `d:alice:${peer}`, kind: 'direct', peer, title: peer });
const group = (id: string, gone = false) => ({ ...conv, conv: id, kind: 'group', title: id, gone });

async function logIn(user: string): Promise<void> {
  session.value = { token: `t-${user}`, user };
  await startChat();
  FakeSocket.last.greet();
  await turns();
}
async function sync(...convs: unknown[]): Promise<void> {
  FakeSocket.last.ok('sync', { convs, cursor: 'c1', more: false });
  await turns();
}
const watchedNow = () => FakeSocket.last.frame('watch')?.watch.users;

beforeEach(() => { vi.useFakeTimers(); FakeSocket.all = []; FakeRequest.aborted = 0; });
afterEach(() => { forgetChat(); session.value = null; vi.useRealTimers(); });

describe('presence', () => {
  it('of the partners is asked for first, also after a reconnect', async () => {
    await logIn('alice');
    await sync(direct('p0'), direct('p1'), group('g'), group('h'));
    expect(watchedNow()).toEqual(['p0', 'p1']);
    alsoWatch('g', names('g', 400));
    expect(watchedNow()).toEqual(names('g', 400));
    FakeSocket.last.die();
    await vi.advanceTimersByTimeAsync(3000);
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.last.greet();
    await turns();
    expect(watchedNow()).toEqual(['p0', 'p1', ...names('g', 400)]);
  });

  it('never asks for more than the server lets one watch: the group that is looked at has the place', async () => {
    await logIn('alice');
    await sync(direct('p0'), group('g'), group('h'));
    alsoWatch('g', names('g', 450));
    alsoWatch('h', names('h', 100));
    expect(FakeSocket.last.frame('unwatch').unwatch.users).toEqual(names('g', 450).slice(399));
    expect(watchedNow()).toEqual(names('h', 100));
    const order = FakeSocket.last.sent.flatMap((f) => ('unwatch' in f ? ['unwatch'] : 'watch' in f ? ['watch'] : []));
    expect(order).toEqual(['watch', 'watch', 'unwatch', 'watch']);
  });

  it('of the members ends with the group, and what was known of them goes', async () => {
    await logIn('alice');
    await sync(direct('p0'), group('g'));
    alsoWatch('g', ['g0', 'p0']);
    FakeSocket.last.ok('watch', { presence: [{ user: 'g0', state: 'online' }, { user: 'p0', state: 'online' }] });
    await turns();
    expect([...presence.value.keys()]).toEqual(['g0', 'p0']);
    FakeSocket.last.say({ changed: { conv: 'g', version: 2 } });
    await turns();
    await sync(group('g', true));
    expect(FakeSocket.last.frame('unwatch').unwatch.users).toEqual(['g0']);
    expect([...presence.value.keys()]).toEqual(['p0']);
  });
});

describe('who logs out', () => {
  it('leaves the next user no marks, no uploads and nobody to watch', async () => {
    await logIn('alice');
    await sync(direct('bob'));
    alsoWatch('@carol', ['carol']);
    markRead('d:alice:bob', 5);
    await vi.advanceTimersByTimeAsync(200);
    expect(FakeSocket.last.frame('mark').mark).toEqual({ conv: 'd:alice:bob', read: 5, delivered: 5 });
    markRead('d:alice:bob', 6);
    await sendFiles('@bob', { user: 'bob' }, [{ name: 'a.txt', type: 'text/plain', size: 1 } as File], '');
    await turns();
    forgetChat(); // the mark's answer never comes
    session.value = null;
    await turns();
    expect(uploads.value).toEqual([]);
    expect(FakeRequest.aborted).toBe(1);
    await logIn('bob');
    await sync();
    await vi.advanceTimersByTimeAsync(5000);
    expect(FakeSocket.all).toHaveLength(2);
    expect(FakeSocket.last.frame('hello').hello.token).toBe('t-bob');
    expect(FakeSocket.last.frames('mark')).toEqual([]);
    expect(FakeSocket.last.frames('watch')).toEqual([]);
    expect(FakeSocket.last.frames('send')).toEqual([]);
  });
});
