// Who is logged in, and getting in and out.
import { signal } from '@preact/signals';
import { newDeviceId } from '../net/ids';
import { http, onTokenRefused, setToken } from '../net/http';
import { read, write } from './storage';

export interface Me {
  user: string; name?: string; admin?: boolean; about?: string; avatar?: string; lang?: string;
}
export interface ServerInfo {
  name?: string; version?: string; registration?: 'closed' | 'invite' | 'open'; max_file_bytes?: number;
}
interface Session { token: string; user: string; mustChange?: boolean }
interface LoginAnswer { token: string; expires_at: number; user: Me; must_change_password?: boolean }

export const session = signal<Session | null>(read<Session | null>('session', null));
export const me = signal<Me>({ user: session.value?.user ?? '' });
export const serverInfo = signal<ServerInfo>({});
/** Why the login screen is shown, when it is not for the first time. */
export const loginNotice = signal<'expired' | null>(null);

export const device: string = read<string | null>('device', null) ?? newDeviceId();
write('device', device);
if (session.value) setToken(session.value.token);
onTokenRefused(() => expire());

export async function loadServerInfo(): Promise<void> {
  serverInfo.value = await http<ServerInfo>('GET', '/info');
}

export async function login(user: string, password: string): Promise<void> {
  setToken('');
  enter(await http<LoginAnswer>('POST', '/login', { user, password, device }));
}

export async function register(user: string, name: string, password: string, invite: string): Promise<void> {
  setToken('');
  enter(await http<LoginAnswer>('POST', '/register', { user, name, password, device, ...(invite ? { invite } : {}) }));
}

function enter(a: LoginAnswer): void {
  setToken(a.token);
  me.value = a.user;
  loginNotice.value = null;
  save({ token: a.token, user: a.user.user, mustChange: a.must_change_password || undefined });
}

function save(s: Session | null): void {
  write('session', s);
  session.value = s;
}

export async function changePassword(old: string, next: string): Promise<void> {
  await http('POST', '/me/password', { old, new: next });
  if (session.value?.mustChange) save({ ...session.value, mustChange: undefined });
}

export async function loadMe(): Promise<void> {
  me.value = await http<Me>('GET', '/me');
}

export async function patchMe(change: Partial<Me>): Promise<void> {
  const answer = await http<Me | undefined>('PATCH', '/me', change);
  me.value = { ...me.value, ...change, ...(answer?.user ? answer : {}) };
}

export async function logout(): Promise<void> {
  await http('POST', '/logout').catch(() => {}); // the token is forgotten in any case
  leave();
}

export function expire(): void {
  if (!session.value) return;
  loginNotice.value = 'expired';
  leave();
}

function leave(): void {
  setToken('');
  me.value = { user: '' };
  save(null);
}
