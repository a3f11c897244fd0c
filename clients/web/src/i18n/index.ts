import { errorCode } from '../net/error';
import { lang } from '../state/prefs';
import { en } from './en';
import { zh } from './zh';

export type Key = keyof typeof en;

/** Reads the language signal, so a component that calls it is drawn again when the language changes. */
export function t(key: Key, args?: Record<string, string | number>): string {
  let s = (lang.value === 'zh' ? zh : en)[key] ?? key;
  if (!args) return s;
  if (s.includes('|') && typeof args.n === 'number') s = s.split('|')[args.n === 1 ? 0 : 1]!;
  return s.replace(/\{(\w+)\}/g, (_, k: string) => String(args[k] ?? ''));
}

export function tError(e: unknown): string {
  const key = `err_${errorCode(e)}` as Key;
  return t(key in en ? key : 'err_internal');
}
