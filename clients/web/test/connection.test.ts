import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Connection, type LinkState } from '../src/net/connection';
import { FakeSocket, turns } from './fake-socket';

let link: Connection;
let states: LinkState[];
let events: any[];
let cursors: string[];

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  states = []; events = []; cursors = [];
  link = new Connection({
    open: () => new FakeSocket(),
    hello: () => ({ token: 't', device: 'web-1', cursor: 'c9' }),
    onState: (s) => states.push(s),
    onHello: () => {},
    onEvent: (e) => events.push(e),
    onCursor: (c) => cursors.push(c),
    random: () => 1, // the longest wait
  });
});
afterEach(() => { link.stop(); vi.useRealTimers(); });

const online = async () => { link.start(); FakeSocket.last.greet(); await turns(); };

describe('hello', () => {
  it('is the first frame and carries token, device and cursor', async () => {
    link.start();
    FakeSocket.last.accept();
    expect(FakeSocket.last.sent).toEqual([{ id: 1, hello: { token: 't', device: 'web-1', cursor: 'c9' } }]);
    expect(link.state).toBe('connecting');
    FakeSocket.last.ok('hello', { user: 'alice', device: 'web-1', heartbeat_s: 30 });
    await turns();
    expect(states).toEqual(['connecting', 'online']);
  });

  it('ends the session when the token is refused', async () => {
    link.start();
    FakeSocket.last.accept();
    FakeSocket.last.refuse('hello', { code: 'unauthenticated', retry: false });
    await turns();
    expect(link.state).toBe('expired');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('is tried again after the time an overloaded server asks for', async () => {
    link.start();
    FakeSocket.last.accept();
    FakeSocket.last.refuse('hello', { code: 'overloaded', retry: true, retry_after_ms: 5000 });
    await turns();
    expect(link.state).toBe('waiting');
    await vi.advanceTimersByTimeAsync(5000);
    expect(FakeSocket.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(3000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('gives up on a socket that never opens', async () => {
    link.start();
    await vi.advanceTimersByTimeAsync(12_000);
    expect(link.state).toBe('waiting');
    expect(FakeSocket.all[0]!.closed).toBe(true);
  });
});

describe('requests', () => {
  it('match answers by id, in any order', async () => {
    await online();
    const a = link.request('info', { conv: 'a' });
    const b = link.request('info', { conv: 'b' });
    const [fa, fb] = FakeSocket.last.frames('info');
    expect(fa.id).not.toBe(fb.id);
    FakeSocket.last.say({ id: fb.id, ok: { info: { conv: 'b' } } });
    FakeSocket.last.say({ id: fa.id, ok: { info: { conv: 'a' } } });
    expect((await a).info!.conv).toBe('a');
    expect((await b).info!.conv).toBe('b');
  });

  it('carry the error of the table', async () => {
    await online();
    const p = link.request('leave', { conv: 'a' });
    FakeSocket.last.refuse('leave', { code: 'forbidden', text: 'no', retry: false });
    await expect(p).rejects.toMatchObject({ code: 'forbidden', retry: false });
  });

  it('time out, and a late answer is ignored', async () => {
    await online();
    const p = link.request('info', { conv: 'a' });
    const caught = expect(p).rejects.toMatchObject({ code: 'timeout' });
    await vi.advanceTimersByTimeAsync(15_000);
    await caught;
    FakeSocket.last.ok('info', { conv: 'a' });
    expect(link.state).toBe('online');
  });

  it('fail at once when offline, and when the connection is lost', async () => {
    await expect(link.request('ping', {})).rejects.toMatchObject({ code: 'offline' });
    await online();
    const p = link.request('info', { conv: 'a' });
    FakeSocket.last.die();
    await expect(p).rejects.toMatchObject({ code: 'offline' });
  });

  it('skip frames that are not understood', async () => {
    await online();
    FakeSocket.last.onmessage({ data: 'not json' });
    FakeSocket.last.say({ something_new: {} });
    FakeSocket.last.say({ typing: { conv: 'a', user: 'bob' } });
    expect(events).toHaveLength(1);
  });
});

describe('heartbeat', () => {
  it('pings and hands on the cursor', async () => {
    await online();
    await vi.advanceTimersByTimeAsync(30_000);
    FakeSocket.last.ok('ping', { cursor: 'c10' });
    await turns();
    expect(cursors).toEqual(['c10']);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(FakeSocket.last.frames('ping')).toHaveLength(2);
  });

  it('finds a dead connection', async () => {
    await online();
    await vi.advanceTimersByTimeAsync(38_000);
    expect(link.state).toBe('waiting');
    expect(FakeSocket.all[0]!.closed).toBe(true);
  });
});

describe('reconnecting', () => {
  it('waits a time that doubles up to 30 s', async () => {
    link.start();
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      const before = FakeSocket.all.length;
      FakeSocket.last.die();
      let ms = 0;
      while (FakeSocket.all.length === before) { await vi.advanceTimersByTimeAsync(250); ms += 250; }
      waits.push(ms);
    }
    expect(waits).toEqual([3000, 6000, 12000, 24000, 30000, 30000, 30000, 30000, 30000]);
  });

  it('honours retry_after_ms of bye', async () => {
    await online();
    FakeSocket.last.say({ bye: { code: 'restarting', retry_after_ms: 3000 } });
    expect(link.state).toBe('waiting');
    await vi.advanceTimersByTimeAsync(3000);
    expect(FakeSocket.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(3000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('does not fight another tab for the device', async () => {
    await online();
    FakeSocket.last.say({ bye: { code: 'replaced', retry_after_ms: 0 } });
    await vi.advanceTimersByTimeAsync(120_000);
    expect(link.state).toBe('replaced');
    expect(FakeSocket.all).toHaveLength(1);
    link.start(); // "use here"
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('takes close 4409 for replaced, and the word of the server for expired', async () => {
    await online();
    FakeSocket.last.die(4409);
    expect(link.state).toBe('replaced');
    link.start(); FakeSocket.last.greet(); await turns();
    FakeSocket.last.say({ bye: { code: 'expired', retry_after_ms: 0 } });
    FakeSocket.last.die(4401);
    expect(link.state).toBe('expired');
  });

  it('says hello again after close 4401 alone: that hello may have come too late', async () => {
    link.start();
    FakeSocket.last.accept();
    FakeSocket.last.say({ error: { code: 'unauthenticated', text: 'no hello in time', retry: false } });
    FakeSocket.last.die(4401);
    await turns();
    expect(link.state).toBe('waiting');
    await vi.advanceTimersByTimeAsync(3000);
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.last.greet(); await turns();
    expect(link.state).toBe('online');
    FakeSocket.last.die(4401);
    expect(link.state).toBe('waiting');
    expect(states).not.toContain('expired');
  });
});

describe('check', () => {
  it('connects at once while waiting', async () => {
    await online();
    FakeSocket.last.die();
    link.check();
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('probes a connection that looks alive', async () => {
    await online();
    link.check();
    link.check();
    expect(FakeSocket.last.frames('ping')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(3000);
    expect(link.state).toBe('waiting');
  });

  it('ignores what an older socket still says', async () => {
    await online();
    const old = FakeSocket.last;
    old.die();
    link.check(); FakeSocket.last.greet(); await turns();
    old.die(4409);
    old.say({ bye: { code: 'expired' } });
    expect(link.state).toBe('online');
  });
});
