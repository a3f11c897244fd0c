// What the application talks to: connection, outbox and sync put together for one user.
import type { ConvState, Event, HelloOk, OkResult, OpName, Ops, SyncPage } from '../proto';
import { Connection, type LinkState, type Socket } from './connection';
import { Outbox, type OutItem } from './outbox';
import { Syncer } from './sync';
import type { Sent } from '../proto';

export interface ClientOptions {
  token: string;
  device: string;
  open: () => Socket;
  load: () => OutItem[];
  save: (items: OutItem[]) => void;
  onState: (state: LinkState) => void;
  onOnline: (hello: HelloOk) => void;
  onEvent: (event: Event) => void;
  onConvs: (convs: ConvState[], complete: boolean) => void;
  onSent: (item: OutItem, sent: Sent) => void;
  onOutbox: (items: OutItem[]) => void;
  random?: () => number;
}

export class Client {
  readonly link: Connection;
  readonly outbox: Outbox;
  readonly sync: Syncer;

  constructor(o: ClientOptions) {
    this.link = new Connection({
      open: o.open,
      hello: () => ({ token: o.token, device: o.device, ...(this.sync.cursor ? { cursor: this.sync.cursor } : {}) }),
      onState: (state) => {
        if (state !== 'online') this.outbox.setOnline(false);
        o.onState(state);
      },
      onHello: (hello) => {
        // Resend first: what was not answered is older than what sync brings.
        this.outbox.setOnline(true);
        this.resync();
        o.onOnline(hello);
      },
      onEvent: o.onEvent,
      onCursor: (cursor) => this.sync.heard(cursor),
      random: o.random,
    });
    this.sync = new Syncer(
      (cursor, limit) =>
        this.link.request('sync', cursor ? { cursor, limit } : { limit }).then((ok) => ok.sync ?? ({} as SyncPage)),
      o.onConvs,
    );
    this.outbox = new Outbox({
      load: o.load,
      save: o.save,
      send: (item) => this.link.request('send', item).then((ok) => {
        if (!ok.send) throw new Error('answer without send');
        return ok.send;
      }),
      onSent: o.onSent,
      onChange: o.onOutbox,
      random: o.random,
    });
  }

  start(): void { this.link.start(); }
  stop(): void { this.link.stop(); }
  check(): void { this.link.check(); }

  /** Sync, and again after a while when it failed though the connection lives. */
  resync(): void {
    this.sync.run().catch(() => {
      if (this.link.state === 'online') setTimeout(() => this.link.state === 'online' && this.resync(), 3000);
    });
  }

  request<K extends OpName>(op: K, args: Ops[K], timeoutMs?: number): Promise<OkResult> {
    return this.link.request(op, args, timeoutMs);
  }

  cast<K extends OpName>(op: K, args: Ops[K]): void { this.link.cast(op, args); }
}
