import type { ConvState, SyncPage } from '../proto';

/** Follows the server's cursor. Calls that come while a round runs are answered by one more round. */
export class Syncer {
  cursor = '';
  private running: Promise<void> | null = null;
  private again = false;

  constructor(
    private ask: (cursor: string, limit: number) => Promise<SyncPage>,
    private onConvs: (convs: ConvState[], complete: boolean) => void,
  ) {}

  run(): Promise<void> {
    if (this.running) {
      this.again = true;
      return this.running;
    }
    this.running = this.rounds().finally(() => (this.running = null));
    return this.running;
  }

  /** A heartbeat's cursor: another than the own one means that something changed. */
  heard(cursor: string): void {
    if (cursor !== this.cursor) void this.run().catch(() => {});
  }

  private async rounds(): Promise<void> {
    do {
      this.again = false;
      let more = true;
      while (more) {
        const page = await this.ask(this.cursor, 200);
        more = page.more ?? false;
        // A page that says `more` but does not move would repeat for ever.
        if (more && page.cursor === this.cursor) more = false;
        if (page.cursor) this.cursor = page.cursor;
        this.onConvs(page.convs ?? [], !more);
      }
    } while (this.again);
  }
}
