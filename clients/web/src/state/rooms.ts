// The open conversations' timelines as signals.
import { signal, type Signal } from '@preact/signals';
import { Timeline } from '../net/timeline';
import type { Message } from '../proto';
import { device, me } from './session';
import { theClient } from './chat';
import { convs } from './convs';

export interface Room {
  conv: string;
  timeline: Timeline;
  messages: Signal<Message[]>;
  older: Signal<boolean>;
  state: Signal<'loading' | 'ready' | 'failed'>;
}

export const rooms = new Map<string, Room>();
const mostRooms = 12;

export function roomOf(conv: string): Room {
  let room = rooms.get(conv);
  if (!room) {
    const messages = signal<Message[]>([]);
    const older = signal(false);
    const timeline = new Timeline({
      fetch: (range) => theClient().request('fetch', { conv, ...range }).then((ok) => ok.fetch ?? {}),
      onChange: (list, more) => {
        messages.value = list;
        older.value = more;
      },
      onMessage: (m) => {
        if (m.client_id && m.from === me.value.user && m.device === device) theClient().outbox.settle(m.client_id);
      },
    });
    room = { conv, timeline, messages, older, state: signal('loading') };
  } else {
    room.timeline.trim();
    rooms.delete(conv); // to the end: the least recently opened is dropped first
  }
  rooms.set(conv, room);
  for (const old of rooms.keys()) {
    if (rooms.size <= mostRooms) break;
    rooms.delete(old);
  }
  return room;
}

export function openRoom(room: Room): void {
  const c = convs.value.get(room.conv);
  if (c) room.timeline.reach(c.last_seq);
  const unread = c?.unread ?? 0;
  if (!room.timeline.loaded) room.state.value = 'loading';
  room.timeline.open(Math.min(200, Math.max(60, unread + 30))).then(
    () => { room.state.value = 'ready'; },
    () => { if (!room.timeline.loaded) room.state.value = 'failed'; },
  );
}

export function forgetRooms(): void {
  rooms.clear();
}
