// Files as blob: URLs. Kept for the session, the oldest dropped when they get many.
import { signal, type Signal } from '@preact/signals';
import { download } from '../net/http';

export interface Loaded { url?: string; failed?: boolean }

const cache = new Map<string, Signal<Loaded>>();
const most = 150;

export function fileUrl(id: string): Signal<Loaded> {
  const known = cache.get(id);
  if (known && !known.peek().failed) return known;
  const entry = known ?? signal<Loaded>({});
  entry.value = {};
  cache.set(id, entry);
  trim();
  download(id).then(
    (blob) => { entry.value = { url: URL.createObjectURL(blob) }; },
    () => { entry.value = { failed: true }; },
  );
  return entry;
}

/** The bytes are here already: the sender's own upload. */
export function seedFile(id: string, blob: Blob): void {
  if (!cache.has(id)) cache.set(id, signal({ url: URL.createObjectURL(blob) }));
}

function trim(): void {
  for (const [id, entry] of cache) {
    if (cache.size <= most) return;
    const { url } = entry.peek();
    if (url) URL.revokeObjectURL(url);
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
