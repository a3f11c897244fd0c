import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { bytes } from '../i18n/time';
import type { ConvState, Message } from '../proto';
import { edit, sendText } from '../state/actions';
import { theClient } from '../state/chat';
import { isAdminOf } from '../state/convs';
import { previewOf } from '../state/describe';
import { drafts, setDraft } from '../state/drafts';
import { groupOf } from '../state/groups';
import { me, serverInfo } from '../state/session';
import { toast } from '../state/toast';
import { kindOf, sendFiles } from '../state/uploads';
import { nameOf } from '../state/users';
import { IconButton } from './bits';
import { EmojiGrid } from './Emoji';
import { Icon } from './icons';
import { MentionList, mentionAt, mentionedIn, type MentionChoice } from './Mentions';

const typingEvery = 3000;
const touch = matchMedia('(pointer: coarse)');

export function Composer({ c, slot, input, files, setFiles, editing, reply, onCancelReply, onEditing, onEditLast, onJump }: {
  c: ConvState; slot: string; input: RefObject<HTMLTextAreaElement | null>; files: File[]; setFiles: (f: File[]) => void;
  editing: Message | null; reply?: Message; onCancelReply: () => void; onEditing: (m: Message | null) => void;
  onEditLast: () => void; onJump: (seq: number) => void;
}) {
  const [editText, setEditText] = useState('');
  const [saving, setSaving] = useState<Message | null>(null);
  const [emojiOpen, setEmojiOpen] = useState(false);
  const [caret, setCaret] = useState(0);
  const [pickIndex, setPickIndex] = useState(0);
  const lastTyping = useRef(0);
  const edited = useRef(editing); // what is edited when an answer comes
  edited.current = editing;
  const root = useRef<HTMLElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const text = editing ? editText : drafts.value[slot]?.text ?? '';
  const to = c.kind === 'direct' ? { user: c.peer! } : { conv: c.conv };

  const setText = (s: string) => {
    if (editing) setEditText(s);
    else setDraft(slot, { text: s, reply: drafts.peek()[slot]?.reply });
  };
  useEffect(() => { if (editing) setEditText(editing.body?.text ?? ''); }, [editing]);
  useEffect(() => { if (!touch.matches) input.current?.focus(); }, []);
  useLayoutEffect(() => {
    const el = input.current!;
    el.style.height = 'auto';
    el.style.height = `${Math.min(el.scrollHeight, 180)}px`;
  }, [text]);

  useEffect(() => {
    if (!emojiOpen) return;
    const away = (e: Event) => { if (!root.current?.contains(e.target as Node)) setEmojiOpen(false); };
    addEventListener('pointerdown', away);
    return () => removeEventListener('pointerdown', away);
  }, [emojiOpen]);

  // ---- mentions ----
  const group = c.kind === 'group' ? groupOf(c.conv).value : null;
  const at = group ? mentionAt(text, caret) : null;
  const choices: MentionChoice[] = !at ? [] : [
    ...(isAdminOf(c) ? [{ user: 'all', name: t('everyone') }] : []),
    ...group!.members.filter((m) => m.user !== me.value.user).map((m) => ({ user: m.user, name: m.name || m.user })),
  ].filter((x) => x.user.startsWith(at.query) || x.name.toLowerCase().includes(at.query)).slice(0, 6);
  const chosen = Math.min(pickIndex, choices.length - 1);
  const mention = (user: string) => {
    const head = `${text.slice(0, at!.from)}@${user} `;
    setText(head + text.slice(caret));
    setCaret(head.length);
    setTimeout(() => { input.current?.focus(); input.current?.setSelectionRange(head.length, head.length); });
  };

  // The text stays until it is stored: it is nowhere else.
  const save = async (m: Message, body: string) => {
    if (saving === m) return;
    setSaving(m);
    const done = await edit(m, body);
    setSaving(null);
    if (done && edited.current === m) onEditing(null);
  };

  const send = () => {
    const body = text.trim();
    if (editing) {
      if (body && body !== editing.body?.text) void save(editing, body);
      else onEditing(null);
      return;
    }
    if (files.length > 0) {
      void sendFiles(slot, to, files, body, reply?.seq);
      setFiles([]);
    } else if (body) {
      sendText(slot, to, body, reply?.seq, group ? mentionedIn(body, group.members.map((m) => m.user), isAdminOf(c)) : undefined);
    } else return;
    setDraft(slot, null);
    lastTyping.current = 0;
    setEmojiOpen(false);
    input.current?.focus();
  };

  const addFiles = (list: Iterable<File>) => {
    const max = serverInfo.value.max_file_bytes;
    const fit = [...list].filter((f) => {
      if (!max || f.size <= max) return true;
      toast(t('file_too_big', { name: f.name, max: bytes(max) }), true);
      return false;
    });
    setFiles([...files, ...fit]);
    input.current?.focus();
  };

  const onKeyDown = (e: KeyboardEvent) => {
    // While an input method composes, Enter and arrows are its own.
    if (e.isComposing || e.keyCode === 229) return;
    if (choices.length > 0) {
      if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
        e.preventDefault();
        setPickIndex((chosen + (e.key === 'ArrowDown' ? 1 : choices.length - 1)) % choices.length);
        return;
      }
      if (e.key === 'Enter' || e.key === 'Tab') {
        e.preventDefault();
        mention(choices[chosen]!.user);
        return;
      }
    }
    if (e.key === 'Enter' && !e.shiftKey && !(touch.matches && !e.ctrlKey)) {
      e.preventDefault();
      send();
    } else if (e.key === 'Escape') {
      if (editing) onEditing(null);
      else if (files.length) setFiles([]);
      else if (reply) onCancelReply();
    } else if (e.key === 'ArrowUp' && text === '' && !editing) {
      e.preventDefault();
      onEditLast();
    }
  };

  const onInput = (e: { currentTarget: HTMLTextAreaElement }) => {
    setText(e.currentTarget.value);
    setCaret(e.currentTarget.selectionStart);
    setPickIndex(0);
    if (c.conv && !editing && Date.now() - lastTyping.current > typingEvery) {
      lastTyping.current = Date.now();
      theClient().cast('typing', { conv: c.conv });
    }
  };

  const quoted = editing ?? reply;
  const mutedUntil = group?.info?.muted_until ?? 0;
  if (mutedUntil > Date.now()) return <div class="composer-note">{t('you_are_muted')}</div>;

  return (
    <footer class="composer" ref={root} onKeyDown={(e) => { if (e.key === 'Escape' && emojiOpen) { setEmojiOpen(false); input.current?.focus(); } }}>
      {choices.length > 0 && <MentionList choices={choices} chosen={chosen} onPick={mention} />}
      {emojiOpen && (
        <div class="emoji-pop">
          <EmojiGrid onPick={(e) => {
            const pos = input.current!.selectionStart ?? text.length;
            setText(text.slice(0, pos) + e + text.slice(pos));
            setTimeout(() => { input.current?.focus(); input.current?.setSelectionRange(pos + e.length, pos + e.length); });
          }} />
        </div>
      )}
      {quoted && (
        <div class="compose-quote">
          <Icon name={editing ? 'pen' : 'reply'} size={20} />
          <button type="button" onClick={() => onJump(quoted.seq)}>
            <b>{editing ? t('editing') : t('replying', { name: quoted.from === me.value.user ? t('you') : nameOf(quoted.from) })}</b>
            <span>{previewOf(quoted)}</span>
          </button>
          <IconButton icon="close" label={t('cancel')} onClick={() => (editing ? onEditing(null) : onCancelReply())} />
        </div>
      )}
      {files.length > 0 && (
        <div class="tray">
          {files.map((f, i) => <TrayFile key={f.name + i} file={f} onRemove={() => setFiles(files.filter((x) => x !== f))} />)}
        </div>
      )}
      <div class="compose-row">
        <input ref={picker} type="file" multiple class="offscreen" tabIndex={-1} aria-label={t('attach')}
          onChange={(e) => { addFiles(e.currentTarget.files ?? []); e.currentTarget.value = ''; }} />
        {!editing && <IconButton icon="clip" label={t('attach')} onClick={() => picker.current?.click()} />}
        <textarea ref={input} rows={1} value={text} readOnly={editing !== null && saving === editing} placeholder={t(files.length ? 'caption' : 'write_message')} aria-label={t('message')}
          enterkeyhint={touch.matches ? 'enter' : 'send'} onInput={onInput} onKeyDown={onKeyDown}
          onSelect={(e) => setCaret(e.currentTarget.selectionStart)}
          onPaste={(e) => {
            const pasted = [...(e.clipboardData?.files ?? [])];
            if (pasted.length > 0) { e.preventDefault(); addFiles(pasted); }
          }} />
        <IconButton icon="smile" label={t('emoji')} aria-expanded={emojiOpen} onClick={() => setEmojiOpen(!emojiOpen)} />
        <button type="button" class="send" aria-label={t(editing ? 'save' : 'send')} title={t(editing ? 'save' : 'send')} disabled={!text.trim() && files.length === 0}
          onMouseDown={(e) => e.preventDefault()} onClick={send}>
          <Icon name={editing ? 'check' : 'send'} size={22} />
        </button>
      </div>
    </footer>
  );
}

function TrayFile({ file, onRemove }: { file: File; onRemove: () => void }) {
  const [url, setUrl] = useState('');
  useEffect(() => {
    if (kindOf(file) !== 'image') return;
    const u = URL.createObjectURL(file);
    setUrl(u);
    return () => URL.revokeObjectURL(u);
  }, [file]);
  return (
    <div class="tray-file" title={file.name}>
      {url ? <img src={url} alt={file.name} /> : <span class="tray-doc"><Icon name="file" /><small>{file.name}</small></span>}
      <IconButton icon="close" size={14} label={`${t('remove_file')} ${file.name}`} onClick={onRemove} />
    </div>
  );
}
