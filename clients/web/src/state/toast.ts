import { signal } from '@preact/signals';

export interface Toast { id: number; text: string; bad?: boolean }

export const toasts = signal<Toast[]>([]);
let last = 0;

export function toast(text: string, bad = false): void {
  const id = ++last;
  toasts.value = [...toasts.value.slice(-2), { id, text, bad }];
  setTimeout(() => { toasts.value = toasts.value.filter((t) => t.id !== id); }, bad ? 6000 : 3500);
}
