// What an operation does to the message it refers to. Messages are replaced, never changed in place, so that the
// user interface sees a difference.
import type { Message, Operation } from '../proto';

export function applyOperation(target: Message, op: Operation, by: string, at: number): Message {
  switch (op.op) {
    case 'recall':
      return { ...target, recalled: true, body: {}, reactions: [] };
    case 'edit':
      return target.recalled ? target : { ...target, body: op.body ?? {}, edited_at: at };
    case 'react':
      return { ...target, reactions: react(target.reactions ?? [], op.emoji ?? '', by, op.on ?? false) };
    default:
      return target;
  }
}

function react(list: NonNullable<Message['reactions']>, emoji: string, user: string, on: boolean) {
  const has = list.some((r) => r.emoji === emoji);
  const next = list.map((r) => {
    if (r.emoji !== emoji) return r;
    const users = (r.users ?? []).filter((u) => u !== user);
    return { emoji, users: on ? [...users, user] : users };
  });
  if (on && !has) next.push({ emoji, users: [user] });
  return next.filter((r) => (r.users ?? []).length > 0);
}
