// Dates and sizes in the language of the interface.
import { signal } from '@preact/signals';
import { lang } from '../state/prefs';
import type { Presence } from '../proto';
import { t, type Key } from './index';

/** Moves every half minute: what is said relative to now reads it. */
export const now = signal(Date.now());
setInterval(() => { now.value = Date.now(); }, 30_000);

const formats = new Map<string, Intl.DateTimeFormat>();

function format(ms: number, options: Intl.DateTimeFormatOptions): string {
  const locale = lang.value === 'zh' ? 'zh-CN' : navigator.language.startsWith('en') ? navigator.language : 'en-GB';
  const key = locale + JSON.stringify(options);
  let f = formats.get(key);
  if (!f) formats.set(key, (f = new Intl.DateTimeFormat(locale, options)));
  return f.format(ms);
}

export const clock = (ms: number) => format(ms, { hour: '2-digit', minute: '2-digit' });
export const full = (ms: number) => format(ms, { dateStyle: 'long', timeStyle: 'short' });

export function dayNumber(ms: number): number {
  return Math.floor((ms - new Date(ms).getTimezoneOffset() * 60_000) / 86_400_000);
}

export function day(ms: number): string {
  const ago = dayNumber(now.value) - dayNumber(ms);
  if (ago === 0) return t('today');
  if (ago === 1) return t('yesterday');
  if (ago > 1 && ago < 7) return format(ms, { weekday: 'long' });
  const sameYear = new Date(ms).getFullYear() === new Date().getFullYear();
  return format(ms, { month: 'long', day: 'numeric', ...(sameYear ? {} : { year: 'numeric' }) });
}

/** For lists: the time today, else the day. */
export function brief(ms: number): string {
  const ago = dayNumber(now.value) - dayNumber(ms);
  if (ago <= 0) return clock(ms);
  if (ago === 1) return t('yesterday');
  if (ago < 7) return format(ms, { weekday: 'short' });
  return format(ms, { year: '2-digit', month: 'numeric', day: 'numeric' });
}

export function seen(p: Presence | undefined): string {
  if (!p) return '';
  if (p.state === 'online' || p.state === 'away' || p.state === 'busy') {
    return t(p.state as Key) + (p.text ? ` · ${p.text}` : '');
  }
  if (!p.last_seen) return t('seen_never');
  const minutes = Math.floor((now.value - p.last_seen) / 60_000);
  if (minutes < 1) return t('seen_now');
  if (minutes < 60) return t('seen_min', { n: minutes });
  const when = dayNumber(now.value) === dayNumber(p.last_seen) ? clock(p.last_seen) : `${day(p.last_seen)} ${clock(p.last_seen)}`;
  return t('seen_at', { when });
}

export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  const units = ['kB', 'MB', 'GB'];
  let v = n;
  let i = -1;
  do { v /= 1024; i++; } while (v >= 1024 && i < 2);
  return `${v < 10 ? v.toFixed(1) : Math.round(v)} ${units[i]}`;
}
