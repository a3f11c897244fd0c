// What the user does with messages and groups.
import { t, tError } from '../i18n';
import { newClientId } from '../net/ids';
import { askOnce, isKeyed } from '../net/repeat';
import type { Message, OkResult, OpName, Ops, Sent, Target } from '../proto';
import { arrived, theClient } from './chat';
import { refreshGroup } from './groups';
import { device, me } from './session';
import { toast } from './toast';

export function sendText(slot: string, to: Target, text: string, reply?: number, mentions?: string[]): void {
  theClient().outbox.add({
    slot, to, client_id: newClientId(), kind: 'text', body: { text }, at: Date.now(),
    reply_to: reply, mentions: mentions?.length ? mentions : undefined,
  });
}

/** Asks and shows a failure; undefined then. */
export async function ask<K extends OpName>(op: K, args: Ops[K]): Promise<OkResult | undefined> {
  try {
    if (isKeyed(op)) return await askOnce((o, a) => theClient().request(o, a), op, args as Ops[typeof op]);
    return await theClient().request(op, args);
  } catch (e) {
    toast(tError(e), true);
    return undefined;
  }
}

// The answer tells only the operation's number: what the others are sent is made here for oneself.
function operated(m: Message, sent: Sent | undefined, operation: NonNullable<Message['body']>['operation']): void {
  if (!sent) return;
  arrived({
    conv: m.conv, seq: sent.seq, message_id: sent.message_id ?? '', from: me.value.user, device,
    sent_at: sent.sent_at || Date.now(), kind: 'operation', body: { operation },
  });
}

export async function recall(m: Message): Promise<void> {
  const ok = await ask('recall', { conv: m.conv, seq: m.seq });
  operated(m, ok?.recall, { op: 'recall', seq: m.seq });
}

/** True when it was done. */
export async function edit(m: Message, text: string): Promise<boolean> {
  const body = { text };
  const ok = await ask('edit', { conv: m.conv, seq: m.seq, body });
  operated(m, ok?.edit, { op: 'edit', seq: m.seq, body });
  return ok !== undefined;
}

export async function react(m: Message, emoji: string): Promise<void> {
  const mine = m.reactions?.find((r) => r.emoji === emoji)?.users?.includes(me.value.user) ?? false;
  const ok = await ask('react', { conv: m.conv, seq: m.seq, emoji, on: !mine });
  operated(m, ok?.react, { op: 'react', seq: m.seq, emoji, on: !mine });
}

/** A change of a group; true when it was made. */
export async function change<K extends 'invite' | 'join' | 'leave' | 'kick' | 'role' | 'mute' | 'update'>(
  op: K, args: Ops[K],
): Promise<boolean> {
  const ok = await ask(op, args);
  if (!ok) return false;
  if (op !== 'leave') refreshGroup((args as { conv: string }).conv);
  theClient().resync();
  return true;
}

export async function createGroup(title: string, members: string[]): Promise<string | undefined> {
  const ok = await ask('create', { kind: 'group', title, members, settings: { history: true } });
  theClient().resync();
  return ok?.create?.conv;
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No clipboard without a secure context; the old way works everywhere.
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'offscreen';
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(t('copied'));
}
