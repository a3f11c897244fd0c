// localStorage, which may be full or forbidden: then the application works, it only remembers less.

export function read<T>(key: string, fallback: T): T {
  try {
    const v = localStorage.getItem(`pigeon.${key}`);
    return v === null ? fallback : (JSON.parse(v) as T);
  } catch {
    return fallback;
  }
}

export function write(key: string, value: unknown): void {
  try {
    if (value === null || value === undefined) localStorage.removeItem(`pigeon.${key}`);
    else localStorage.setItem(`pigeon.${key}`, JSON.stringify(value));
  } catch { /* full or forbidden */ }
}
