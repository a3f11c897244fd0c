import { signal } from '@preact/signals';
import { me } from './session';
import { read, write } from './storage';

export interface Draft { text: string; reply?: number }

export const drafts = signal<Readonly<Record<string, Draft>>>({});

export function loadDrafts(): void {
  drafts.value = read(`drafts.${me.value.user}`, {});
}

export function setDraft(slot: string, draft: Draft | null): void {
  const next = { ...drafts.value };
  if (draft && (draft.text.trim() || draft.reply)) next[slot] = draft;
  else delete next[slot];
  drafts.value = next;
  write(`drafts.${me.value.user}`, next);
}
