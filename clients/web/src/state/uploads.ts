// Files on their way up. The bytes cannot be kept over a reload; once they are up, the message goes to the outbox.
import { signal } from '@preact/signals';
import { errorCode } from '../net/error';
import { upload } from '../net/http';
import { newClientId } from '../net/ids';
import type { FileRef, Kind, Target } from '../proto';
import { theClient } from './chat';
import { seedFile } from './files';

export interface Upload {
  id: string; slot: string; to: Target; file: File; kind: Kind; caption: string; reply?: number; at: number;
  part: number; url?: string; width?: number; height?: number; error?: string;
}

export const uploads = signal<Upload[]>([]);
const aborts = new Map<string, AbortController>();

const picture = /^image\/(png|jpeg|gif|webp|avif)$/;

export function kindOf(file: { type: string }): Kind {
  if (picture.test(file.type)) return 'image';
  if (file.type.startsWith('audio/')) return 'audio';
  if (file.type.startsWith('video/')) return 'video';
  return 'file';
}

export async function sendFile(slot: string, to: Target, file: File, caption: string, reply?: number): Promise<void> {
  const kind = kindOf(file);
  const u: Upload = { id: newClientId(), slot, to, file, kind, caption, reply, at: Date.now(), part: 0 };
  if (kind === 'image') {
    u.url = URL.createObjectURL(file);
    Object.assign(u, await sizeOf(u.url));
  }
  uploads.value = [...uploads.value, u];
  await run(u);
}

export function retryUpload(id: string): void {
  const u = uploads.value.find((x) => x.id === id);
  if (!u) return;
  patch(id, { error: undefined, part: 0 });
  void run(u);
}

export function cancelUpload(id: string): void {
  aborts.get(id)?.abort();
  drop(id);
}

async function run(u: Upload): Promise<void> {
  const abort = new AbortController();
  aborts.set(u.id, abort);
  try {
    const done = await upload(u.file, u.file.name || 'file', (part) => patch(u.id, { part }), abort.signal);
    const file: FileRef = {
      file_id: done.file_id, name: done.name || u.file.name, size: done.size ?? u.file.size,
      mime: done.mime || u.file.type || 'application/octet-stream',
      ...(u.width ? { width: u.width, height: u.height } : {}),
    };
    if (u.kind === 'image') seedFile(done.file_id, u.file);
    drop(u.id);
    theClient().outbox.add({
      slot: u.slot, to: u.to, client_id: u.id, kind: u.kind, at: u.at, reply_to: u.reply,
      body: { ...(u.caption ? { text: u.caption } : {}), file },
    });
  } catch (e) {
    if (errorCode(e) !== 'cancelled') patch(u.id, { error: errorCode(e) });
  } finally {
    aborts.delete(u.id);
  }
}

function patch(id: string, change: Partial<Upload>): void {
  uploads.value = uploads.value.map((u) => (u.id === id ? { ...u, ...change } : u));
}

function drop(id: string): void {
  const u = uploads.value.find((x) => x.id === id);
  uploads.value = uploads.value.filter((x) => x.id !== id);
  if (u?.url) setTimeout(() => URL.revokeObjectURL(u.url!), 10_000);
}

function sizeOf(url: string): Promise<{ width?: number; height?: number }> {
  return new Promise((resolve) => {
    const img = new Image();
    img.onload = () => resolve({ width: img.naturalWidth, height: img.naturalHeight });
    img.onerror = () => resolve({});
    img.src = url;
  });
}
