// Messages on their way. Every one is stored before it is sent and keeps its client_id until the server has
// answered, so a reload or a lost connection neither loses nor doubles it.
import type { SendOp, Sent } from '../proto';
import { Backoff } from './backoff';
import { errorCode, isTransient } from './error';

export interface OutItem extends SendOp {
  slot: string; // the conversation's lane: `@user` for a direct one, else its id
  at: number; // ms since 1970, by this device's clock
  state: 'queued' | 'sending' | 'failed';
  error?: string; // code, when failed
}

export interface OutboxOptions {
  load: () => OutItem[];
  save: (items: OutItem[]) => void;
  send: (item: SendOp) => Promise<Sent>;
  onSent: (item: OutItem, sent: Sent) => void;
  onChange: (items: OutItem[]) => void;
  random?: () => number;
}

interface Lane { busy: boolean; backoff: Backoff; timer?: ReturnType<typeof setTimeout> }

export class Outbox {
  private items: OutItem[];
  private lanes = new Map<string, Lane>();
  private online = false;
  private pausedUntil = 0; // rate_limited holds for the user, so for every lane

  constructor(private o: OutboxOptions) {
    // What was being sent when the page went away is sent again; the server knows its client_id.
    this.items = o.load().map((i) => (i.state === 'sending' ? { ...i, state: 'queued' as const } : i));
    o.onChange(this.items);
  }

  add(item: Omit<OutItem, 'state'>): void {
    this.change([...this.items, { ...item, state: 'queued' }]);
    this.run(item.slot);
  }

  retry(clientId: string): void {
    const item = this.items.find((i) => i.client_id === clientId);
    if (!item || item.state !== 'failed') return;
    this.patch(clientId, { state: 'queued', error: undefined });
    this.run(item.slot);
  }

  remove(clientId: string): void {
    this.change(this.items.filter((i) => i.client_id !== clientId));
  }

  /** The message was seen in the conversation: its answer was lost, but it is stored. */
  settle(clientId: string): void {
    if (this.items.some((i) => i.client_id === clientId)) this.remove(clientId);
  }

  setOnline(online: boolean): void {
    this.online = online;
    if (!online) return;
    for (const lane of this.lanes.values()) {
      clearTimeout(lane.timer);
      lane.timer = undefined;
      lane.backoff.reset();
    }
    for (const slot of new Set(this.items.map((i) => i.slot))) this.run(slot);
  }

  /** One message at a time in a conversation, so that their order stays the one they were written in. */
  private run(slot: string): void {
    const lane = this.lane(slot);
    if (!this.online || lane.busy || lane.timer !== undefined) return;
    const item = this.items.find((i) => i.slot === slot && i.state === 'queued');
    if (!item) return;
    const pause = this.pausedUntil - Date.now();
    if (pause > 0) {
      this.wait(slot, lane, pause);
      return;
    }
    lane.busy = true;
    this.patch(item.client_id, { state: 'sending' });
    const { to, client_id, kind, body, reply_to, mentions } = item;
    this.o.send({ to, client_id, kind, body, reply_to, mentions }).then(
      (sent) => {
        lane.busy = false;
        lane.backoff.reset();
        // Removed first: onSent shows the stored message in its place.
        if (this.items.some((i) => i.client_id === client_id)) this.remove(client_id);
        this.o.onSent(item, sent);
        this.run(slot);
      },
      (e: unknown) => {
        lane.busy = false;
        if (isTransient(e)) {
          this.patch(client_id, { state: 'queued' });
          // Offline comes before the state changes: the timer starts nothing then, and setOnline does.
          if (e.code === 'rate_limited') this.pausedUntil = Date.now() + (e.retryAfterMs || 1000);
          this.wait(slot, lane, e.retryAfterMs || lane.backoff.next());
        } else {
          this.patch(client_id, { state: 'failed', error: errorCode(e) });
          this.run(slot);
        }
      },
    );
  }

  private wait(slot: string, lane: Lane, ms: number): void {
    clearTimeout(lane.timer);
    lane.timer = setTimeout(() => {
      lane.timer = undefined;
      this.run(slot);
    }, ms);
  }

  private lane(slot: string): Lane {
    let lane = this.lanes.get(slot);
    if (!lane) {
      lane = { busy: false, backoff: new Backoff(500, 30_000, this.o.random) };
      this.lanes.set(slot, lane);
    }
    return lane;
  }

  private patch(clientId: string, change: Partial<OutItem>): void {
    this.change(this.items.map((i) => (i.client_id === clientId ? { ...i, ...change } : i)));
  }

  private change(items: OutItem[]): void {
    this.items = items;
    this.o.save(items);
    this.o.onChange(items);
  }
}
