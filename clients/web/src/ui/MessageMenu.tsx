import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { t, tError, type Key } from '../i18n';
import type { ConvState, Message } from '../proto';
import { copy, react, recall } from '../state/actions';
import { isAdminOf } from '../state/convs';
import { saveFile } from '../state/files';
import { me } from '../state/session';
import { toast } from '../state/toast';
import { EmojiGrid } from './Emoji';
import { Icon, type IconName } from './icons';

const quick = ['👍', '❤️', '😂', '😮', '😢', '🎉'];

export interface MenuAt { m: Message; x: number; y: number; reactOnly?: boolean }

export function MessageMenu({ at, c, onClose, onReply, onEdit, onReaders, onRecall }: {
  at: MenuAt; c: ConvState; onClose: () => void; onReply: (m: Message) => void; onEdit: (m: Message) => void;
  onReaders: (m: Message) => void; onRecall: (f: () => void) => void;
}) {
  const { m } = at;
  const mine = m.from === me.value.user;
  const ref = useRef<HTMLDivElement>(null);
  const [all, setAll] = useState(false);

  useLayoutEffect(() => {
    const el = ref.current!;
    const w = el.offsetWidth;
    const h = el.offsetHeight;
    el.style.left = `${Math.max(8, Math.min(at.x, innerWidth - w - 8))}px`;
    el.style.top = `${Math.max(8, Math.min(at.y, innerHeight - h - 8))}px`;
  }, [at, all]);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    ref.current!.querySelector<HTMLElement>('button')?.focus();
    const away = (e: Event) => { if (!ref.current?.contains(e.target as Node)) onClose(); };
    const key = (e: KeyboardEvent) => { if (e.key === 'Escape') { e.stopPropagation(); onClose(); } };
    addEventListener('pointerdown', away);
    addEventListener('keydown', key, true);
    addEventListener('resize', onClose);
    return () => {
      removeEventListener('pointerdown', away);
      removeEventListener('keydown', key, true);
      removeEventListener('resize', onClose);
      before?.focus({ preventScroll: true });
    };
  }, []);

  const entry = (icon: IconName, label: Key, f: () => void, danger = false) => (
    <button type="button" role="menuitem" class={danger ? 'danger' : ''} data-action={label} onClick={() => { onClose(); f(); }}>
      <Icon name={icon} size={19} />{t(label)}
    </button>
  );
  const pick = (emoji: string) => { onClose(); void react(m, emoji); };
  const move = (e: KeyboardEvent) => {
    if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return;
    e.preventDefault();
    const all = [...ref.current!.querySelectorAll<HTMLElement>('button')];
    const i = all.indexOf(document.activeElement as HTMLElement);
    all.at((i + (e.key === 'ArrowDown' ? 1 : -1)) % all.length)?.focus();
  };
  const file = m.body?.file;

  return (
    <div class="menu floating" role="menu" ref={ref} onKeyDown={move}>
      {!m.recalled && !all && (
        <div class="quick">
          {quick.map((e) => <button type="button" role="menuitem" key={e} aria-label={e} onClick={() => pick(e)}>{e}</button>)}
          <button type="button" role="menuitem" aria-label={t('more')} onClick={() => setAll(true)}><Icon name="plus" size={18} /></button>
        </div>
      )}
      {all && <EmojiGrid onPick={pick} />}
      {!at.reactOnly && !all && (
        <>
          {!m.recalled && entry('reply', 'reply', () => onReply(m))}
          {m.body?.text && entry('copy', 'copy', () => void copy(m.body!.text!))}
          {file && entry('download', 'download', () => saveFile(file.file_id, file.name || 'file').catch((e) => toast(tError(e), true)))}
          {mine && m.kind === 'text' && !m.recalled && entry('pen', 'edit', () => onEdit(m))}
          {c.kind === 'group' && mine && entry('eye', 'read_by', () => onReaders(m))}
          {!m.recalled && (mine || (c.kind === 'group' && isAdminOf(c))) && entry('undo', 'recall', () => onRecall(() => void recall(m)), true)}
        </>
      )}
    </div>
  );
}
