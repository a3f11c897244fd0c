// Files as blob: URLs. Kept for the session, the oldest dropped when they get many.
import { signal, type Signal } from '@preact/signals';
import { errorCode } from '../net/error';
import { download } from '../net/http';

/** `gone`: it failed, and asking again would get the same answer. */
export interface Loaded { url?: string; failed?: boolean; gone?: boolean }

const cache = new Map<string, Signal<Loaded>>();
const most = 150;
const lasting = new Set(['invalid', 'forbidden', 'not_found']);

/** Called while drawing, and draws again when it changes: so a failed file is not asked for again from here. */
export function fileUrl(id: string): Signal<Loaded> {
  const known = cache.get(id);
  if (known) return known;
  const entry = signal<Loaded>({});
  cache.set(id, entry);
  trim();
  void load(id, entry);
  return entry;
}

async function load(id: string, entry: Signal<Loaded>): Promise<void> {
  const tell = (loaded: () => Loaded) => { if (cache.get(id) === entry) entry.value = loaded(); };
  await download(id).then(
    (blob) => tell(() => ({ url: URL.createObjectURL(blob) })),
    (e: unknown) => tell(() => ({ failed: true, gone: lasting.has(errorCode(e)) })),
  );
}

/** The user asks for it again; nothing happens unless it failed. */
export function retryFile(id: string): Promise<void> {
  const entry = cache.get(id);
  const { failed, gone } = entry?.peek() ?? {};
  if (!entry || !failed || gone) return Promise.resolve();
  entry.value = {};
  return load(id, entry);
}

/** The connection is back: each failed file once more, one after another. */
export async function retryFiles(): Promise<void> {
  for (const id of [...cache.keys()]) await retryFile(id);
}

/** The bytes are here already: the sender's own upload. */
export function seedFile(id: string, blob: Blob): void {
  if (!cache.has(id)) cache.set(id, signal({ url: URL.createObjectURL(blob) }));
}

// Only what has its bytes: the others cost nothing, and would be asked for again by whoever draws them.
function trim(): void {
  const loaded = [...cache].filter(([, entry]) => entry.peek().url);
  for (const [id, entry] of loaded.slice(0, -most)) {
    URL.revokeObjectURL(entry.peek().url!);
    cache.delete(id);
  }
}

export async function saveFile(id: string, name: string): Promise<void> {
  const blob = await download(id);
  const url = URL.createObjectURL(blob);
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export function forgetFiles(): void {
  for (const e of cache.values()) if (e.peek().url) URL.revokeObjectURL(e.peek().url!);
  cache.clear();
}
