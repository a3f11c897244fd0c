// Calls to the REST side, with the protocol's errors.
import { NetError } from './error';

let token = '';
let onUnauthenticated: (() => void) | null = null;

export function setToken(t: string): void {
  token = t;
}

export function onTokenRefused(f: () => void): void {
  onUnauthenticated = f;
}

export async function http<T>(method: string, path: string, body?: unknown): Promise<T> {
  const used = token;
  let res: Response;
  try {
    res = await fetch(`/v1${path}`, {
      method,
      headers: {
        ...(used ? { Authorization: `Bearer ${used}` } : {}),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
      credentials: 'omit',
    });
  } catch {
    throw new NetError('offline');
  }
  if (!res.ok) throw refused(res.status, await res.text().catch(() => ''), used);
  const text = res.status === 204 ? '' : await res.text();
  try {
    return (text ? JSON.parse(text) : undefined) as T;
  } catch {
    throw new NetError('internal', 'not JSON');
  }
}

function refused(status: number, text: string, used: string): NetError {
  let error = new NetError(byStatus(status), `HTTP ${status}`);
  try {
    const parsed = JSON.parse(text) as { error?: { code: string } };
    if (parsed.error?.code) error = NetError.from(parsed.error);
  } catch { /* a proxy's own page */ }
  if (error.code === 'unauthenticated' && used && used === token) onUnauthenticated?.();
  return error;
}

function byStatus(status: number): string {
  const codes: Record<number, string> = {
    400: 'invalid', 401: 'unauthenticated', 403: 'forbidden', 404: 'not_found', 409: 'conflict',
    413: 'too_large', 429: 'rate_limited', 502: 'unavailable', 503: 'unavailable', 504: 'uncertain',
  };
  return codes[status] ?? 'internal';
}

export interface Uploaded { file_id: string; name?: string; size?: number; mime?: string }

/** Sends a file's bytes. XMLHttpRequest, because fetch does not tell how far an upload is. */
export function upload(file: Blob, name: string, onProgress: (part: number) => void, signal: AbortSignal): Promise<Uploaded> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open('POST', `/v1/files?name=${encodeURIComponent(name)}`);
    xhr.setRequestHeader('Authorization', `Bearer ${token}`);
    xhr.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
    xhr.upload.onprogress = (e) => e.lengthComputable && onProgress(e.loaded / e.total);
    xhr.onload = () => {
      if (xhr.status < 200 || xhr.status > 299) return reject(refused(xhr.status, xhr.responseText, token));
      try {
        resolve(JSON.parse(xhr.responseText) as Uploaded);
      } catch {
        reject(new NetError('internal'));
      }
    };
    xhr.onerror = () => reject(new NetError('offline'));
    xhr.onabort = () => reject(new NetError('cancelled'));
    signal.addEventListener('abort', () => xhr.abort());
    xhr.send(file);
  });
}

/** A file's bytes; they need the token, so an <img> cannot ask for them itself. */
export async function download(fileId: string): Promise<Blob> {
  let res: Response;
  try {
    res = await fetch(`/v1/files/${encodeURIComponent(fileId)}`, {
      headers: { Authorization: `Bearer ${token}` },
      credentials: 'omit',
    });
  } catch {
    throw new NetError('offline');
  }
  if (!res.ok) throw refused(res.status, await res.text().catch(() => ''), token);
  return res.blob();
}
