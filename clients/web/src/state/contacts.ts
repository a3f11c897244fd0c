import { computed, signal } from '@preact/signals';
import { t, tError } from '../i18n';
import { http } from '../net/http';
import { toast } from './toast';
import { remember } from './users';

export interface Contact {
  user: string; name?: string; state: 'requested' | 'pending' | 'accepted' | 'blocked'; note?: string; since?: number;
}

export const contacts = signal<Contact[] | null>(null);

/** How many wait for an answer here. */
export const asking = computed(() => (contacts.value ?? []).filter((c) => c.state === 'pending').length);

export async function loadContacts(): Promise<void> {
  const answer = await http<{ contacts?: Contact[] }>('GET', '/contacts');
  contacts.value = answer.contacts ?? [];
  remember(contacts.value.map((c) => ({ user: c.user, name: c.name })));
}

/** `requested`: this user asked; `pending`: asked by the other, waits for an answer here. */
export function contactState(user: string): Contact['state'] | undefined {
  if (contacts.value === null) {
    contacts.value = [];
    loadContacts().catch(() => {});
  }
  return contacts.value?.find((c) => c.user === user)?.state;
}

async function act(method: string, path: string, body?: unknown, said?: string): Promise<boolean> {
  try {
    await http(method, `/contacts${path}`, body);
    if (said) toast(said);
    return true;
  } catch (e) {
    toast(tError(e), true);
    return false;
  } finally {
    await loadContacts().catch(() => {});
  }
}

const at = (user: string) => `/${encodeURIComponent(user)}`;

export const requestContact = (user: string, note: string) => act('POST', '', { user, ...(note ? { note } : {}) }, t('request_sent'));
export const answerContact = (user: string, accept: boolean) => act('POST', `${at(user)}/${accept ? 'accept' : 'decline'}`);
export const block = (user: string, on: boolean) => act('POST', `${at(user)}/${on ? 'block' : 'unblock'}`);
export const removeContact = (user: string) => act('DELETE', at(user));
