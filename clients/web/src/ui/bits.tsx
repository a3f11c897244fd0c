// Small parts that many screens share.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { fileUrl } from '../state/files';
import { presence } from '../state/live';
import { toasts } from '../state/toast';
import { Icon, type IconName } from './icons';

function hash(s: string): number {
  let h = 7;
  for (let i = 0; i < s.length; i++) h = (h * 31 + s.charCodeAt(i)) >>> 0;
  return h;
}

export const colourOf = (seed: string) => hash(seed) % 8;

function initials(name: string): string {
  const clean = name.trim();
  if (/^[\u2e80-\u9fff\uac00-\ud7af\u3040-\u30ff]/.test(clean)) return clean.length > 2 ? clean.slice(-2) : clean;
  const words = clean.split(/[\s_.-]+/).filter(Boolean);
  const first = [...(words[0] ?? '?')][0] ?? '?';
  const second = words.length > 1 ? [...words.at(-1)!][0] : '';
  return (first + (second ?? '')).toUpperCase();
}

export function Avatar({ name, seed, file, size = 44, user, icon }: {
  name: string; seed: string; file?: string; size?: number; user?: string; icon?: IconName;
}) {
  const url = file ? fileUrl(file).value.url : undefined;
  const state = user ? presence.value.get(user)?.state : undefined;
  return (
    <span class={`avatar av-${colourOf(seed)}`} style={{ width: `${size}px`, height: `${size}px`, fontSize: `${Math.round(size * 0.38)}px` }} aria-hidden="true">
      {url ? <img src={url} alt="" /> : icon ? <Icon name={icon} size={Math.round(size * 0.5)} /> : initials(name)}
      {(state === 'online' || state === 'away' || state === 'busy') && <span class={`dot dot-${state}`} />}
    </span>
  );
}

export function IconButton({ icon, label, onClick, class: cls = '', size, ...rest }: {
  icon: IconName; label: string; onClick?: (e: MouseEvent) => void; class?: string; size?: number;
  [attr: string]: unknown;
}) {
  return (
    <button type="button" class={`icon-button ${cls}`} aria-label={label} title={label} onClick={onClick} {...rest}>
      <Icon name={icon} size={size} />
    </button>
  );
}

export function Spinner() {
  return <span class="spinner" role="status" aria-label={t('loading')} />;
}

export function Empty({ icon, title, hint, children }: { icon?: IconName; title: string; hint?: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      {icon && <span class="empty-icon"><Icon name={icon} size={34} /></span>}
      <h2>{title}</h2>
      {hint && <p>{hint}</p>}
      {children}
    </div>
  );
}

export function Modal({ title, onClose, children, wide }: {
  title: string; onClose: () => void; children: ComponentChildren; wide?: boolean;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const d = ref.current!;
    if (!d.open) d.showModal();
    return () => d.close();
  }, []);
  return (
    <dialog ref={ref} class={`modal ${wide ? 'wide' : ''}`} aria-label={title}
      onCancel={(e) => { e.preventDefault(); onClose(); }}
      onMouseDown={(e) => { if (e.target === ref.current) onClose(); }}>
      <div class="modal-box">
        <header class="modal-head">
          <h2>{title}</h2>
          <IconButton icon="close" label={t('close')} onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

export interface Question { title: string; hint?: string; yes: string; danger?: boolean; onYes: () => void }

export function Confirm({ q, onClose }: { q: Question; onClose: () => void }) {
  return (
    <Modal title={q.title} onClose={onClose}>
      {q.hint && <p class="modal-text">{q.hint}</p>}
      <footer class="modal-foot">
        <button type="button" class="button plain" onClick={onClose}>{t('cancel')}</button>
        <button type="button" class={`button ${q.danger ? 'danger' : ''}`} autofocus onClick={() => { onClose(); q.onYes(); }}>{q.yes}</button>
      </footer>
    </Modal>
  );
}

/** A question and its dialog, for a component that asks before it acts. */
export function useConfirm(): [(q: Question) => void, ComponentChildren] {
  const [q, ask] = useState<Question | null>(null);
  return [ask, q && <Confirm q={q} onClose={() => ask(null)} />];
}

export function Field({ label, hint, ...input }: { label: string; hint?: string; [attr: string]: unknown }) {
  return (
    <label class="field">
      <span class="field-label">{label}</span>
      <input class="input" {...input} />
      {hint && <span class="field-hint">{hint}</span>}
    </label>
  );
}

export function PasswordField({ label, ...input }: { label: string; [attr: string]: unknown }) {
  const [shown, show] = useState(false);
  return (
    <label class="field">
      <span class="field-label">{label}</span>
      <span class="input-row">
        <input class="input" {...input} type={(shown ? 'text' : 'password') as 'password'} />
        <IconButton icon="eye" label={t(shown ? 'hide_password' : 'show_password')} onClick={() => show(!shown)} aria-pressed={shown} />
      </span>
    </label>
  );
}

export function Switch({ label, on, onChange, disabled }: { label: string; on: boolean; onChange: (on: boolean) => void; disabled?: boolean }) {
  return (
    <label class="switch">
      <span>{label}</span>
      <input type="checkbox" role="switch" checked={on} disabled={disabled} onChange={(e) => onChange(e.currentTarget.checked)} />
    </label>
  );
}

export function Segments<T extends string>({ label, value, options, onChange }: {
  label: string; value: T; options: [T, string][]; onChange: (v: T) => void;
}) {
  return (
    <div class="segments" role="radiogroup" aria-label={label}>
      {options.map(([v, text]) => (
        <button type="button" key={v} role="radio" aria-checked={v === value} class={v === value ? 'on' : ''} onClick={() => onChange(v)}>{text}</button>
      ))}
    </div>
  );
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((x) => <div key={x.id} class={`toast ${x.bad ? 'bad' : ''}`}>{x.text}</div>)}
    </div>
  );
}
