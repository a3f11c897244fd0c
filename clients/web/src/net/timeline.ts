// One conversation's messages: a window without holes that ends at `top`. Pushed messages beyond a gap wait until
// the gap has been fetched; each sequence number is shown once.
import type { Message, Page } from '../proto';
import { applyOperation } from './operations';

export interface TimelineOptions {
  fetch: (range: { after?: number; before?: number; limit: number }) => Promise<Page>;
  onChange: (messages: Message[], older: boolean) => void;
  /** Each message when it takes its place for the first time. */
  onMessage?: (message: Message) => void;
}

const pageSize = 60;
const gapPage = 200;
const mostKept = 200; // of a conversation that is not on the screen
const widestGap = 600; // beyond it, starting again at the newest page is less work than catching up

export class Timeline {
  loaded = false;
  older = false;
  top = 0;
  private list: Message[] = [];
  private bySeq = new Map<number, Message>();
  private held = new Map<number, Message>();
  private wanted = 0; // the highest number known to exist
  private filling: Promise<void> | null = null;
  private paging: Promise<void> | null = null;
  private opening: Promise<void> | null = null;
  private missed: Message[] = []; // operations on what `paging` may bring

  constructor(private o: TimelineOptions) {}

  get messages(): Message[] {
    return this.list;
  }

  get(seq: number): Message | undefined {
    return this.bySeq.get(seq);
  }

  /** Loads the newest page, or catches up when it is loaded already. */
  open(limit = pageSize): Promise<void> {
    if (this.loaded) return this.fill();
    this.opening ??= this.newest(limit).finally(() => (this.opening = null));
    return this.opening;
  }

  /** Forgets what was scrolled back to; it can be loaded again. Not while it is looked at. */
  trim(): void {
    if (!this.loaded || this.paging || this.list.length <= mostKept) return;
    for (const m of this.list.slice(0, -mostKept)) this.bySeq.delete(m.seq);
    this.list = this.list.slice(-mostKept);
    this.older = true;
    this.changed();
  }

  /** The page before the first message. */
  back(): Promise<void> {
    if (!this.loaded || !this.older) return Promise.resolve();
    this.paging ??= this.page().finally(() => (this.paging = null));
    return this.paging;
  }

  /** A message from the server, or the sender's own after its answer. */
  push(m: Message): void {
    this.wanted = Math.max(this.wanted, m.seq);
    if (!this.loaded) {
      this.held.set(m.seq, m);
      return;
    }
    if (m.seq <= this.top) return; // shown already, or part of history that is not loaded
    this.held.set(m.seq, m);
    this.drain();
    if (this.held.size > 0) void this.fill().catch(() => {}); // the next sync tries again
  }

  /** The conversation is known to reach up to `seq`. */
  reach(seq: number): void {
    this.wanted = Math.max(this.wanted, seq);
    if (this.loaded && this.wanted > this.top) void this.fill().catch(() => {});
  }

  private fill(): Promise<void> {
    if (this.wanted <= this.top) return Promise.resolve();
    this.filling ??= this.catchUp().finally(() => (this.filling = null));
    return this.filling;
  }

  private async catchUp(): Promise<void> {
    while (this.wanted > this.top) {
      if (this.wanted - this.top > widestGap) {
        this.loaded = false;
        await this.newest(pageSize);
        continue;
      }
      const asked = this.wanted; // what is pushed meanwhile is not in the answer
      const page = await this.o.fetch({ after: this.top, limit: gapPage });
      const messages = page.messages ?? [];
      for (const m of messages) this.held.set(m.seq, m);
      const last = messages.at(-1)?.seq ?? 0;
      // Numbers that the server left out do not exist for this user; without more pages, nothing is missing below
      // what was asked for.
      const end = page.more && last > this.top ? last : Math.max(last, asked);
      for (const seq of [...this.held.keys()].sort((a, b) => a - b)) {
        if (seq <= end) this.place(seq);
      }
      this.top = Math.max(this.top, end);
      this.drain(false);
      this.changed();
    }
  }

  private async newest(limit: number): Promise<void> {
    const page = await this.o.fetch({ limit: Math.min(limit, 200) });
    const messages = page.messages ?? [];
    this.list = [];
    this.bySeq.clear();
    this.loaded = true;
    this.older = page.more ?? false;
    this.top = messages.at(-1)?.seq ?? 0;
    // Operations in this page came before it was read: its messages already show their results.
    for (const m of messages) {
      this.insert(m);
      this.held.delete(m.seq);
    }
    for (const seq of [...this.held.keys()]) if (seq <= this.top) this.held.delete(seq);
    this.drain(false);
    this.changed();
    if (this.held.size > 0 || this.wanted > this.top) void this.fill().catch(() => {});
  }

  private async page(): Promise<void> {
    const before = this.list[0]?.seq ?? this.top + 1;
    this.missed = [];
    const page = await this.o.fetch({ before, limit: pageSize });
    const fresh = (page.messages ?? []).filter((m) => !this.bySeq.has(m.seq) && m.seq < before);
    for (const m of fresh) this.bySeq.set(m.seq, m);
    // The page's own are not applied: what older operations did is in its messages, and later ones may have undone it.
    this.list = [...fresh, ...this.list];
    this.older = (page.more ?? false) && fresh.length > 0;
    // Those that came meanwhile may be in it or not; in their order they can be applied twice.
    const late = this.missed;
    this.missed = [];
    for (const m of late) this.apply(m);
    this.changed();
  }

  /** Takes what follows `top` without a gap. */
  private drain(report = true): void {
    let moved = false;
    while (this.held.has(this.top + 1)) {
      this.place(this.top + 1);
      this.top++;
      moved = true;
    }
    for (const seq of [...this.held.keys()]) if (seq <= this.top) this.held.delete(seq);
    if (moved && report) this.changed();
  }

  private place(seq: number): void {
    const m = this.held.get(seq)!;
    this.held.delete(seq);
    if (this.bySeq.has(seq)) return;
    this.insert(m);
    this.apply(m);
  }

  /** Does to its target what an operation says. */
  private apply(m: Message): void {
    const op = m.kind === 'operation' ? m.body?.operation : undefined;
    if (!op?.seq) return;
    const target = this.bySeq.get(op.seq);
    if (target) this.replace(applyOperation(target, op, m.from, m.sent_at));
    else if (this.paging) this.missed.push(m);
  }

  private insert(m: Message): void {
    this.list = [...this.list, m];
    this.bySeq.set(m.seq, m);
    this.o.onMessage?.(m);
  }

  private replace(m: Message): void {
    this.bySeq.set(m.seq, m);
    this.list = this.list.map((x) => (x.seq === m.seq ? m : x));
  }

  private changed(): void {
    this.o.onChange(this.list, this.older);
  }
}
