// Text with links and mentions, as text nodes and elements only: never as HTML.
import type { ComponentChild } from 'preact';
import { t } from '../i18n';
import { go } from '../state/route';
import { me } from '../state/session';
import { nameOf } from '../state/users';

const token = /(https?:\/\/[^\s<>"'\u3000-\u303f\uff00-\uffef]+)|(?<![\w@./-])@([a-z0-9][a-z0-9_-]{0,31})/g;

export function RichText({ text, mentions }: { text: string; mentions?: string[] }) {
  const parts: ComponentChild[] = [];
  let end = 0;
  for (const m of text.matchAll(token)) {
    if (m.index > end) parts.push(text.slice(end, m.index));
    end = m.index + m[0].length;
    if (m[1]) {
      // A closing mark at the end belongs to the sentence, unless its opening one is in the address.
      let url = m[1];
      while (/[.,;:!?)\]}*_]$/.test(url)) {
        if (url.endsWith(')') && url.includes('(')) break;
        url = url.slice(0, -1);
      }
      parts.push(<a href={url} target="_blank" rel="noopener noreferrer nofollow">{url}</a>, m[1].slice(url.length));
    } else {
      const user = m[2]!;
      parts.push(mentions?.includes(user) ? <Mention user={user} /> : m[0]);
    }
  }
  if (end < text.length) parts.push(text.slice(end));
  return <>{parts}</>;
}

function Mention({ user }: { user: string }) {
  const self = user === me.value.user || user === 'all';
  return (
    <button type="button" class={`mention ${self ? 'self' : ''}`} onClick={() => { if (!self) go({ page: 'user', user }); }}>
      @{user === 'all' ? t('everyone') : nameOf(user)}
    </button>
  );
}

/** One to three emoji and nothing else are drawn large. */
export function isBigEmoji(text: string): boolean {
  return text.length <= 24 && /^(?:\p{Extended_Pictographic}(?:\ufe0f|\u200d\p{Extended_Pictographic}|[\u{1f3fb}-\u{1f3ff}])*\s*){1,3}$/u.test(text);
}
