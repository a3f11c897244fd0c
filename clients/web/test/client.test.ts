import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Client } from '../src/net/client';
import { FakeSocket, turns } from './fake-socket';

let disk: string;
let convs: any[];
let sent: any[];
let client: Client;

const make = () => new Client({
  token: 't', device: 'web-1',
  open: () => new FakeSocket(),
  load: () => JSON.parse(disk),
  save: (i) => { disk = JSON.stringify(i); },
  onState: () => {}, onOnline: () => {}, onEvent: () => {},
  onConvs: (c) => convs.push(...c),
  onSent: (i, s) => sent.push([i.client_id, s.seq]),
  onOutbox: () => {},
  random: () => 1,
});
const item = (id: string) =>
  ({ slot: 'c1', to: { conv: 'c1' }, client_id: id, kind: 'text' as const, body: { text: id }, at: 1 });

beforeEach(() => { vi.useFakeTimers(); FakeSocket.all = []; disk = '[]'; convs = []; sent = []; client = make(); });
afterEach(() => { client.stop(); vi.useRealTimers(); });

describe('client', () => {
  it('syncs page by page and then follows the heartbeat cursor', async () => {
    client.start(); FakeSocket.last.greet(); await turns();
    const s = FakeSocket.last;
    expect(s.frame('sync').sync).toEqual({ limit: 200 });
    s.ok('sync', { convs: [{ conv: 'a' }], cursor: 'p1', more: true }); await turns();
    expect(s.frame('sync').sync.cursor).toBe('p1');
    s.ok('sync', { convs: [{ conv: 'b' }], cursor: 'p2', more: false }); await turns();
    expect(convs.map((c) => c.conv)).toEqual(['a', 'b']);
    expect(s.frames('sync')).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(30_000);
    s.ok('ping', { cursor: 'p2' }); await turns();
    expect(s.frames('sync')).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(30_000);
    s.ok('ping', { cursor: 'p3' }); await turns();
    expect(s.frame('sync').sync.cursor).toBe('p2');
    expect(s.frames('sync')).toHaveLength(3);
  });

  it('runs one more round for calls that come during a sync', async () => {
    client.start(); FakeSocket.last.greet(); await turns();
    const s = FakeSocket.last;
    client.resync(); client.resync();
    s.ok('sync', { cursor: 'p1', more: false }); await turns();
    expect(s.frames('sync')).toHaveLength(2);
    s.ok('sync', { cursor: 'p1', more: false }); await turns();
    expect(s.frames('sync')).toHaveLength(2);
  });

  it('says hello with its cursor and resends under the same client_id after a loss', async () => {
    client.start(); FakeSocket.last.greet(); await turns();
    FakeSocket.last.ok('sync', { cursor: 'p1', more: false }); await turns();
    client.outbox.add(item('k1')); client.outbox.add(item('k2'));
    const first = FakeSocket.last;
    expect(first.frames('send').map((f) => f.send.client_id)).toEqual(['k1']);
    first.die(); await turns();
    client.outbox.add(item('k3'));
    await vi.advanceTimersByTimeAsync(3000);
    const second = FakeSocket.last;
    expect(second).not.toBe(first);
    second.accept();
    expect(second.frame('hello').hello.cursor).toBe('p1');
    second.greet(); await turns();
    for (const [n, id] of ['k1', 'k2', 'k3'].entries()) {
      expect(second.frame('send').send.client_id).toBe(id);
      second.ok('send', { conv: 'c1', seq: n + 1, sent_at: 1 }); await turns();
    }
    expect(sent).toEqual([['k1', 1], ['k2', 2], ['k3', 3]]);
    expect(disk).toBe('[]');
  });

  it('never has more than one operation in a frame', async () => {
    client.start(); FakeSocket.last.greet(); await turns();
    client.outbox.add(item('k1'));
    client.cast('typing', { conv: 'c1' });
    for (const f of FakeSocket.last.sent) expect(Object.keys(f).filter((k) => k !== 'id')).toHaveLength(1);
  });

  it('tries a failed sync again', async () => {
    client.start(); FakeSocket.last.greet(); await turns();
    FakeSocket.last.refuse('sync', { code: 'unavailable', retry: true }); await turns();
    await vi.advanceTimersByTimeAsync(3000);
    expect(FakeSocket.last.frames('sync')).toHaveLength(2);
  });
});
