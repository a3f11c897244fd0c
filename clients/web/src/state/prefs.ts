// What this browser remembers about looks: theme, language, notifications.
import { effect, signal } from '@preact/signals';
import { read, write } from './storage';

export type Theme = 'auto' | 'light' | 'dark';
export type Lang = 'en' | 'zh';

function detect(): Lang {
  const wanted = navigator.languages?.length ? navigator.languages : [navigator.language];
  for (const l of wanted) {
    if (/^zh\b/i.test(l)) return 'zh';
    if (/^en\b/i.test(l)) return 'en';
  }
  return 'en';
}

export const theme = signal<Theme>(read('theme', 'auto'));
export const lang = signal<Lang>(read<Lang | null>('lang', null) ?? detect());
export const notifications = signal<boolean>(read('notifications', false));

const dark = matchMedia('(prefers-color-scheme: dark)');
const systemDark = signal(dark.matches);
dark.addEventListener('change', (e) => (systemDark.value = e.matches));

export function setTheme(t: Theme): void { theme.value = t; write('theme', t); }
export function setLang(l: Lang): void { lang.value = l; write('lang', l); }
export function setNotifications(on: boolean): void { notifications.value = on; write('notifications', on); }

export function applyPrefs(): void {
  effect(() => {
    const isDark = theme.value === 'dark' || (theme.value === 'auto' && systemDark.value);
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
    document.querySelector('meta[name=theme-color]')?.setAttribute('content', isDark ? '#17181f' : '#ffffff');
  });
  effect(() => { document.documentElement.lang = lang.value === 'zh' ? 'zh-CN' : 'en'; });
}
