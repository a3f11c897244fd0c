// One WebSocket at a time: hello, requests and their answers, heartbeat, reconnecting. It knows nothing of
// conversations; client.ts does.
import type { Event, HelloOk, OkResult, OpName, Ops, ServerFrame } from '../proto';
import { Backoff } from './backoff';
import { NetError } from './error';

export type LinkState =
  | 'idle' // not started, or stopped
  | 'connecting' // socket opening, or hello sent
  | 'online'
  | 'waiting' // for the next attempt
  | 'replaced' // the same device said hello elsewhere; only start() goes on
  | 'expired'; // the token is not valid any more

export interface Socket {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((e: never) => void) | null;
  onmessage: ((e: { data: string }) => void) | null;
  onclose: ((e: { code: number }) => void) | null;
  onerror: ((e: never) => void) | null;
}

export interface ConnectionOptions {
  open: () => Socket;
  hello: () => Ops['hello'];
  onState: (state: LinkState) => void;
  onHello: (ok: HelloOk) => void;
  onEvent: (event: Event) => void;
  /** The cursor in a heartbeat's answer. */
  onCursor: (cursor: string) => void;
  random?: () => number;
}

const connectTimeout = 12_000;
const requestTimeout = 15_000;
const pongTimeout = 8_000;
const probeTimeout = 3_000; // when the page comes back to the front, a dead socket should show soon

interface Waiting {
  resolve: (ok: OkResult) => void;
  reject: (e: NetError) => void;
  timer: ReturnType<typeof setTimeout>;
}

export class Connection {
  state: LinkState = 'idle';
  private socket: Socket | null = null;
  private waiting = new Map<number, Waiting>();
  private nextId = 1;
  private timer: ReturnType<typeof setTimeout> | undefined; // next attempt, or connect timeout
  private beat: ReturnType<typeof setTimeout> | undefined;
  private heartbeatMs = 30_000;
  private probing = false;
  private retryAfter = 0; // asked for by bye or by an error
  private backoff: Backoff;

  constructor(private o: ConnectionOptions) {
    this.backoff = new Backoff(3000, 30_000, o.random);
  }

  start(): void {
    if (this.state === 'connecting' || this.state === 'online') return;
    this.backoff.reset();
    this.connect();
  }

  stop(): void {
    this.drop(1000);
    this.setState('idle');
  }

  /** Something suggests that the network changed or the page woke up: find out now instead of at the next timer. */
  check(): void {
    if (this.state === 'waiting') {
      this.backoff.reset();
      this.connect();
    } else if (this.state === 'online' && !this.probing) {
      this.ping(probeTimeout);
    }
  }

  /** The answer, or a NetError: the server's, `offline` or `timeout`. */
  request<K extends OpName>(op: K, args: Ops[K], timeoutMs = requestTimeout): Promise<OkResult> {
    if (this.state !== 'online') return Promise.reject(new NetError('offline'));
    return this.ask(op, args, timeoutMs);
  }

  /** For operations without an answer; lost when offline. */
  cast<K extends OpName>(op: K, args: Ops[K]): void {
    if (this.state === 'online') this.socket?.send(JSON.stringify({ id: this.nextId++, [op]: args }));
  }

  private setState(state: LinkState): void {
    if (this.state === state) return;
    this.state = state;
    this.o.onState(state);
  }

  private connect(): void {
    this.drop();
    this.retryAfter = 0;
    this.setState('connecting');
    let socket: Socket;
    try {
      socket = this.o.open();
    } catch {
      this.later();
      return;
    }
    this.socket = socket;
    this.timer = setTimeout(() => this.lost(socket), connectTimeout);
    socket.onopen = () => this.greet(socket);
    socket.onmessage = (e) => socket === this.socket && this.receive(e.data);
    // 4401 alone says nothing of the token: a hello that came too late gets it as well. The next hello's answer tells.
    socket.onclose = (e) => this.lost(socket, e.code === 4409 ? 'replaced' : 'later');
    socket.onerror = () => {}; // a close event follows
  }

  private greet(socket: Socket): void {
    if (socket !== this.socket) return;
    this.ask('hello', this.o.hello(), connectTimeout).then(
      (ok) => {
        if (socket !== this.socket || !ok.hello) return;
        clearTimeout(this.timer);
        this.backoff.reset();
        this.heartbeatMs = Math.max(5, ok.hello.heartbeat_s ?? 30) * 1000;
        this.beatLater();
        this.setState('online');
        this.o.onHello(ok.hello);
      },
      (e: NetError) => {
        if (socket !== this.socket) return;
        this.retryAfter = Math.max(this.retryAfter, e.retryAfterMs);
        this.lost(socket, e.code === 'unauthenticated' ? 'expired' : 'later');
      },
    );
  }

  private ask<K extends OpName>(op: K, args: Ops[K], timeoutMs: number): Promise<OkResult> {
    return new Promise((resolve, reject) => {
      const id = this.nextId++;
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new NetError('timeout'));
      }, timeoutMs);
      this.waiting.set(id, { resolve, reject, timer });
      try {
        this.socket!.send(JSON.stringify({ id, [op]: args }));
      } catch {
        clearTimeout(timer);
        this.waiting.delete(id);
        reject(new NetError('offline'));
      }
    });
  }

  private receive(data: string): void {
    let frame: ServerFrame;
    try {
      frame = JSON.parse(data) as ServerFrame;
    } catch {
      return;
    }
    if (frame.id) {
      this.answer(frame.id, frame);
    } else if (frame.bye) {
      this.bye(frame.bye.code, frame.bye.retry_after_ms ?? 0);
    } else if (frame.message || frame.mark || frame.typing || frame.presence || frame.changed) {
      this.o.onEvent(frame);
    }
  }

  private answer(id: number, frame: ServerFrame): void {
    const w = this.waiting.get(id);
    if (!w) return; // typing, or it came too late
    this.waiting.delete(id);
    clearTimeout(w.timer);
    if (frame.error) w.reject(NetError.from(frame.error));
    else w.resolve(frame.ok ?? {});
  }

  private bye(code: string, retryAfterMs: number): void {
    const socket = this.socket!;
    this.retryAfter = retryAfterMs;
    // `kicked` may mean that the token was revoked: the next hello tells.
    this.lost(socket, code === 'replaced' || code === 'expired' ? code : 'later');
  }

  private lost(socket: Socket, end: 'replaced' | 'expired' | 'later' = 'later'): void {
    if (socket !== this.socket) return;
    const wait = this.retryAfter;
    this.drop();
    this.retryAfter = wait;
    if (end === 'later') this.later();
    else this.setState(end);
  }

  private later(): void {
    // A server that is restarting names a time; the jitter keeps its clients from coming back in one moment.
    const wait = this.retryAfter > 0 ? this.retryAfter + this.backoff.next() : this.backoff.next();
    this.setState('waiting');
    this.timer = setTimeout(() => this.connect(), wait);
  }

  private drop(code?: number): void {
    clearTimeout(this.timer);
    clearTimeout(this.beat);
    this.probing = false;
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      try {
        socket.close(code ?? 1000);
      } catch { /* already closed */ }
    }
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const w of waiting) {
      clearTimeout(w.timer);
      w.reject(new NetError('offline', 'connection lost'));
    }
  }

  private beatLater(): void {
    clearTimeout(this.beat);
    this.beat = setTimeout(() => this.ping(pongTimeout), this.heartbeatMs);
  }

  private ping(timeoutMs: number): void {
    const socket = this.socket!;
    clearTimeout(this.beat);
    this.probing = true;
    this.ask('ping', {}, timeoutMs).then(
      (ok) => {
        if (socket !== this.socket) return;
        this.probing = false;
        this.beatLater();
        if (ok.ping?.cursor) this.o.onCursor(ok.ping.cursor);
      },
      (e: NetError) => {
        if (socket !== this.socket) return;
        this.probing = false;
        if (e.code === 'timeout') this.lost(socket);
        else this.beatLater();
      },
    );
  }
}
