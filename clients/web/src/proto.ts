// The types of common/proto/client.proto in their JSON mapping. Empty strings and lists are left out on the
// wire, so they are optional here.

export type Kind =
  | 'text' | 'image' | 'audio' | 'video' | 'file' | 'location' | 'card' | 'custom' | 'command' | 'operation';
export type Role = 'role_unset' | 'member' | 'admin' | 'owner';
export type State = 'state_unset' | 'online' | 'away' | 'busy' | 'invisible' | 'offline';
export type Op =
  | 'recall' | 'edit' | 'react'
  | 'created' | 'invited' | 'joined' | 'left' | 'kicked' | 'role_changed' | 'muted' | 'updated';

export interface FileRef {
  file_id: string; name?: string; size?: number; mime?: string;
  width?: number; height?: number; duration_ms?: number; thumb_id?: string;
}
export interface Operation {
  op: Op; seq?: number; body?: Body; emoji?: string; on?: boolean;
  users?: string[]; role?: Role; title?: string; until?: number;
}
export interface Body {
  text?: string; file?: FileRef; operation?: Operation;
  location?: { latitude: number; longitude: number; label?: string };
  card?: { user?: string; conv?: string; title?: string; url?: string };
  custom?: { type?: string; data?: string };
  command?: { name?: string; args?: string[] };
}
export interface Reaction { emoji: string; users?: string[] }
export interface Message {
  conv: string; seq: number; message_id: string; from: string; device?: string; client_id?: string;
  sent_at: number; kind: Kind; body?: Body; reply_to?: number; mentions?: string[];
  edited_at?: number; recalled?: boolean; reactions?: Reaction[];
}
export interface ConvState {
  conv: string; kind: 'direct' | 'group'; title?: string;
  last_seq: number; read_seq: number; delivered_seq: number; unread: number;
  last_message?: Message; version: number; role?: Role; gone?: boolean; peer?: string;
  peer_read?: number; peer_delivered?: number; members?: number; avatar?: string; mentioned?: number;
}
export interface Settings {
  about?: string; open?: boolean; history?: boolean; members_invite?: boolean; avatar?: string;
}
export interface ConvInfo {
  conv: string; kind: string; title?: string; settings?: Settings; last_seq: number; version: number;
  members: number; role?: Role; muted_until?: number; created_at?: number;
}
export interface Member {
  user: string; name?: string; role?: Role; read: number; delivered: number; muted_until?: number; joined_at?: number;
}
export interface Presence { user: string; state: State; last_seen?: number; text?: string }
export interface Sent { conv: string; seq: number; message_id?: string; sent_at: number }
export interface Page { messages?: Message[]; more?: boolean }
export interface SyncPage { convs?: ConvState[]; cursor?: string; more?: boolean }
export interface Receipts {
  read?: string[]; delivered?: string[]; read_count?: number; delivered_count?: number; members?: number;
}
export interface HelloOk {
  user: string; device: string; cursor?: string; heartbeat_s?: number; server?: string; time?: number;
}
export interface MarkEvent { conv: string; user: string; read?: number; delivered?: number }
export interface Changed { conv: string; version: number }

export interface Target { user?: string; conv?: string }
export interface SendOp {
  to: Target; client_id: string; kind: Kind; body: Body; reply_to?: number; mentions?: string[];
}

// One operation in a frame.
/** What changes something may carry a key of the device: repeated under it, it is done once. */
export interface Keyed { client_id?: string }

export interface Ops {
  hello: { token: string; device: string; cursor?: string };
  send: SendOp;
  fetch: { conv: string; after?: number; before?: number; limit: number };
  sync: { cursor?: string; limit?: number };
  mark: { conv: string; read?: number; delivered?: number };
  typing: { conv: string };
  watch: { users: string[] };
  unwatch: { users: string[] };
  status: { text: string; state: State };
  recall: { conv: string; seq: number } & Keyed;
  edit: { conv: string; seq: number; body: Body } & Keyed;
  react: { conv: string; seq: number; emoji: string; on: boolean } & Keyed;
  create: { kind: 'group'; title: string; members: string[]; settings?: Settings } & Keyed;
  invite: { conv: string; users: string[] } & Keyed;
  join: { conv: string } & Keyed;
  leave: { conv: string } & Keyed;
  kick: { conv: string; user: string } & Keyed;
  role: { conv: string; user: string; role: Role } & Keyed;
  mute: { conv: string; user?: string; seconds: number } & Keyed;
  update: { conv: string; title?: string; settings?: Settings } & Keyed;
  ping: Record<string, never>;
  members: { conv: string; after?: string; limit?: number };
  receipts: { conv: string; seq: number };
  info: { conv: string };
}
export type OpName = keyof Ops;

export interface OkResult {
  hello?: HelloOk; send?: Sent; fetch?: Page; sync?: SyncPage; watch?: { presence?: Presence[] };
  ping?: { cursor?: string }; create?: Changed; changed?: Changed; recall?: Sent; edit?: Sent; react?: Sent;
  members?: { members?: Member[]; more?: boolean }; receipts?: Receipts; info?: ConvInfo;
}
export interface WireError { code: string; text?: string; retry?: boolean; retry_after_ms?: number }
export interface ServerFrame {
  id?: number; ok?: OkResult; error?: WireError; message?: Message; mark?: MarkEvent;
  typing?: { conv: string; user: string }; presence?: Presence; changed?: Changed;
  bye?: { code: string; retry_after_ms?: number };
}
/** What the server sends unasked. */
export type Event = Pick<ServerFrame, 'message' | 'mark' | 'typing' | 'presence' | 'changed'>;
