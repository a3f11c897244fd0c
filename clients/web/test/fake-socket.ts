import type { Socket } from '../src/net/connection';

/** A WebSocket whose other end is the test. */
export class FakeSocket implements Socket {
  static all: FakeSocket[] = [];
  static get last(): FakeSocket { return FakeSocket.all.at(-1)!; }
  sent: any[] = [];
  closed = false;
  onopen: any = null;
  onmessage: any = null;
  onclose: any = null;
  onerror: any = null;

  constructor() { FakeSocket.all.push(this); }
  send(data: string) { this.sent.push(JSON.parse(data)); }
  close() { this.closed = true; }

  accept() { this.onopen?.({}); }
  say(frame: unknown) { this.onmessage?.({ data: JSON.stringify(frame) }); }
  die(code = 1006) { this.onclose?.({ code }); }
  /** The newest frame with this operation. */
  frame(op: string) { return this.sent.findLast((f) => op in f); }
  frames(op: string) { return this.sent.filter((f) => op in f); }
  ok(op: string, result: unknown) { this.say({ id: this.frame(op).id, ok: { [op]: result } }); }
  refuse(op: string, error: unknown) { this.say({ id: this.frame(op).id, error }); }
  greet(heartbeat_s = 30) {
    this.accept();
    this.ok('hello', { user: 'alice', device: 'web-1', cursor: 'c0', heartbeat_s, time: 1 });
  }
}

export const turns = async (n = 10) => { for (let i = 0; i < n; i++) await Promise.resolve(); };
