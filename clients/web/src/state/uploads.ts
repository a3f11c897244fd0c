// Files on their way up. The bytes cannot be kept over a reload; once they are up, the message goes to the outbox.
import { signal } from '@preact/signals';
import { Backoff } from '../net/backoff';
import { errorCode, isTransient, NetError } from '../net/error';
import { upload, type Uploaded } from '../net/http';
import { newClientId } from '../net/ids';
import type { FileRef, Kind, Target } from '../proto';
import { theClient } from './chat';
import { seedFile } from './files';
import { serverInfo } from './session';

export interface Upload {
  id: string; slot: string; to: Target; file: File; kind: Kind; caption: string; reply?: number; at: number;
  part: number; url?: string; width?: number; height?: number; error?: string;
}

export const uploads = signal<Upload[]>([]);
const aborts = new Map<string, AbortController>();
const lanes = new Map<string, Promise<void>>(); // by slot: the end of what waits there
const tries = 6;
let round = 0; // counts the log-outs

const picture = /^image\/(png|jpeg|gif|webp|avif)$/;

export function kindOf(file: { type: string }): Kind {
  if (picture.test(file.type)) return 'image';
  if (file.type.startsWith('audio/')) return 'audio';
  if (file.type.startsWith('video/')) return 'video';
  return 'file';
}

/** They arrive in this order; the caption and what is replied to go with the first. */
export async function sendFiles(slot: string, to: Target, files: File[], caption: string, reply?: number): Promise<void> {
  const began = round;
  const at = Date.now();
  const list = await Promise.all(files.map((file, i) => measured({
    id: newClientId(), slot, to, file, kind: kindOf(file), caption: i === 0 ? caption : '', reply: i === 0 ? reply : undefined, at, part: 0,
  })));
  if (began !== round) {
    for (const u of list) if (u.url) URL.revokeObjectURL(u.url);
    return;
  }
  uploads.value = [...uploads.value, ...list];
  for (const u of list) enqueue(u);
}

export function retryUpload(id: string): void {
  const u = uploads.value.find((x) => x.id === id);
  if (!u?.error) return;
  patch(id, { error: undefined, part: 0 });
  enqueue(u);
}

export function cancelUpload(id: string): void {
  aborts.get(id)?.abort();
  drop(id);
}

export function forgetUploads(): void {
  round++;
  for (const abort of aborts.values()) abort.abort();
  for (const u of uploads.peek()) if (u.url) URL.revokeObjectURL(u.url);
  aborts.clear();
  lanes.clear();
  uploads.value = [];
}

async function measured(u: Upload): Promise<Upload> {
  if (u.kind !== 'image') return u;
  const url = URL.createObjectURL(u.file);
  return { ...u, url, ...await sizeOf(url) };
}

/** One at a time in a conversation: they keep their order, and the server takes few at once. */
function enqueue(u: Upload): void {
  const turn = (lanes.get(u.slot) ?? Promise.resolve()).then(() => run(u));
  lanes.set(u.slot, turn);
  void turn.then(() => { if (lanes.get(u.slot) === turn) lanes.delete(u.slot); });
}

async function run(u: Upload): Promise<void> {
  const listed = () => uploads.peek().some((x) => x.id === u.id); // neither cancelled nor of who has logged out
  if (!listed()) return;
  const abort = new AbortController();
  aborts.set(u.id, abort);
  try {
    const done = await store(u, abort.signal);
    if (!listed()) return;
    const { outbox } = theClient();
    const file: FileRef = {
      file_id: done.file_id, name: done.name || u.file.name, size: done.size ?? u.file.size,
      mime: done.mime || u.file.type || 'application/octet-stream',
      ...(u.width ? { width: u.width, height: u.height } : {}),
    };
    if (u.kind === 'image') seedFile(done.file_id, u.file);
    drop(u.id);
    outbox.add({
      slot: u.slot, to: u.to, client_id: u.id, kind: u.kind, at: u.at, reply_to: u.reply,
      body: { ...(u.caption ? { text: u.caption } : {}), file },
    });
  } catch (e) {
    if (errorCode(e) !== 'cancelled') patch(u.id, { error: errorCode(e) });
  } finally {
    if (aborts.get(u.id) === abort) aborts.delete(u.id);
  }
}

/** Tried again while that may help, but not for ever: each try sends all the bytes. */
async function store(u: Upload, signal: AbortSignal): Promise<Uploaded> {
  const backoff = new Backoff(1000, 30_000);
  const max = serverInfo.peek().max_file_bytes;
  // A server that refuses it by closing the connection looks as if there were none.
  if (max && u.file.size > max) throw new NetError('too_large');
  for (let n = 1; ; n++) {
    try {
      return await upload(u.file, u.file.name || 'file', (part) => patch(u.id, { part }), signal);
    } catch (e) {
      if (!isTransient(e) || n === tries || signal.aborted) throw e;
      patch(u.id, { part: 0 });
      await pause(e.retryAfterMs || backoff.next(), signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new NetError('cancelled'));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop);
  });
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
