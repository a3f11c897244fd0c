import { useEffect, useRef, useState } from 'preact/hooks';
import { t, tError } from '../i18n';
import { brief } from '../i18n/time';
import { http, upload } from '../net/http';
import type { State } from '../proto';
import { ask as request } from '../state/actions';
import { askNotifications, canNotify } from '../state/notify';
import { lang, notifications, setLang, setNotifications, setTheme, theme } from '../state/prefs';
import { me, patchMe } from '../state/session';
import { read, write } from '../state/storage';
import { toast } from '../state/toast';
import { Avatar, Field, Segments, Spinner, Switch, useConfirm } from './bits';
import { Icon } from './icons';
import { PasswordForm } from './NewPassword';
import { Page } from './Page';

export function Settings() {
  return (
    <Page title={t('settings')}>
      <Profile />
      <MyState />
      <div class="card">
        <span class="field-label">{t('appearance')}</span>
        <div class="setting"><span>{t('language')}</span>
          <Segments label={t('language')} value={lang.value} options={[['zh', '中文'], ['en', 'English']]}
            onChange={(l) => { setLang(l); patchMe({ lang: l === 'zh' ? 'zh-CN' : 'en' }).catch(() => {}); }} />
        </div>
        <div class="setting"><span>{t('theme')}</span>
          <Segments label={t('theme')} value={theme.value} options={[['auto', t('theme_auto')], ['light', t('theme_light')], ['dark', t('theme_dark')]]} onChange={setTheme} />
        </div>
      </div>
      <Notifications />
      <Devices />
      <details class="card">
        <summary>{t('change_password')}</summary>
        <PasswordForm onDone={() => toast(t('password_changed'))} />
      </details>
    </Page>
  );
}

function Profile() {
  const [name, setName] = useState(me.value.name ?? '');
  const [about, setAbout] = useState(me.value.about ?? '');
  const file = useRef<HTMLInputElement>(null);
  useEffect(() => { setName(me.value.name ?? ''); setAbout(me.value.about ?? ''); }, [me.value.user, me.value.name, me.value.about]);
  const save = (change: Parameters<typeof patchMe>[0]) => patchMe(change).then(() => toast(t('saved')), (e) => toast(tError(e), true));
  const changed = name.trim() !== (me.value.name ?? '') || about.trim() !== (me.value.about ?? '');
  return (
    <form class="card profile" onSubmit={(e) => { e.preventDefault(); void save({ name: name.trim(), about: about.trim() }); }}>
      <div class="profile-top">
        <Avatar name={me.value.name || me.value.user} seed={me.value.user} size={84} file={me.value.avatar} />
        <div>
          <h2>{me.value.name || me.value.user}</h2>
          <p class="muted">@{me.value.user}</p>
          <button type="button" class="link" onClick={() => file.current?.click()}>{t('change_picture')}</button>
          {me.value.avatar && <button type="button" class="link" onClick={() => void save({ avatar: '' })}>{t('remove_picture')}</button>}
          <input ref={file} class="offscreen" type="file" accept="image/png,image/jpeg,image/webp" aria-label={t('change_picture')} tabIndex={-1}
            onChange={async (e) => {
              const f = e.currentTarget.files?.[0];
              if (!f) return;
              try {
                const small = await square(f);
                const done = await upload(small, 'avatar.png', () => {}, new AbortController().signal);
                await save({ avatar: done.file_id });
              } catch (x) { toast(tError(x), true); }
            }} />
        </div>
      </div>
      <Field label={t('name')} name="name" value={name} maxLength={64} onInput={(e: { currentTarget: HTMLInputElement }) => setName(e.currentTarget.value)} />
      <Field label={t('about')} name="about" value={about} maxLength={200} onInput={(e: { currentTarget: HTMLInputElement }) => setAbout(e.currentTarget.value)} />
      {changed && <button class="button">{t('save')}</button>}
    </form>
  );
}

/** A picture's middle, 256 pixels wide: a profile picture is loaded by everybody. */
async function square(f: File): Promise<Blob> {
  const bitmap = await createImageBitmap(f);
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 256;
  canvas.getContext('2d')!.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, 256, 256);
  return new Promise((resolve, reject) => canvas.toBlob((b) => (b ? resolve(b) : reject(new Error('no image'))), 'image/png'));
}

function MyState() {
  const [s, setS] = useState(read<{ state: State; text: string }>(`status.${me.value.user}`, { state: 'online', text: '' }));
  const save = async (next: typeof s) => {
    setS(next);
    if (await request('status', next)) { write(`status.${me.value.user}`, next); toast(t('saved')); }
  };
  return (
    <form class="card" onSubmit={(e) => { e.preventDefault(); void save(s); }}>
      <span class="field-label">{t('my_state')}</span>
      <Segments<State> label={t('my_state')} value={s.state} options={[['online', t('online')], ['away', t('away')], ['busy', t('busy')], ['invisible', t('invisible')]]}
        onChange={(state) => void save({ ...s, state })} />
      <div class="inline-form">
        <Field label={t('status_text')} name="status" maxLength={80} value={s.text} onInput={(e: { currentTarget: HTMLInputElement }) => setS({ ...s, text: e.currentTarget.value })} />
        <button class="button small">{t('save')}</button>
      </div>
    </form>
  );
}

function Notifications() {
  const can = canNotify();
  const on = can && notifications.value && Notification.permission === 'granted';
  return (
    <div class="card">
      <span class="field-label">{t('notify')}</span>
      <Switch label={t('notify_on')} on={on} disabled={!can} onChange={async (want) => {
        if (!want) setNotifications(false);
        else if (!(await askNotifications())) toast(t('notify_denied'), true);
      }} />
      {!can && <p class="muted small">{t('notify_insecure')}</p>}
    </div>
  );
}

interface Device { device: string; created_at?: number; last_used?: number; current?: boolean }

function Devices() {
  const [list, setList] = useState<Device[] | null>(null);
  const [ask, question] = useConfirm();
  const load = () => http<{ sessions?: Device[] }>('GET', '/me/sessions').then((a) => setList(a.sessions ?? []), (e) => { setList([]); toast(tError(e), true); });
  useEffect(() => { void load(); }, []);
  const end = (d: string) => http('DELETE', `/me/sessions/${encodeURIComponent(d)}`).catch((e) => toast(tError(e), true)).then(load);
  return (
    <div class="card">
      <span class="field-label">{t('devices')}</span>
      {list === null && <Spinner />}
      {list?.map((d) => (
        <div class="user-row still" key={d.device}>
          <span class="avatar av-plain"><Icon name="device" size={22} /></span>
          <span class="user-names"><b>{d.device}</b><small class={d.current ? 'accent-text' : ''}>{d.current ? t('this_device') : d.last_used ? t('last_used', { when: brief(d.last_used) }) : ''}</small></span>
          {!d.current && <button type="button" class="button small plain" onClick={() => ask({ title: `${t('log_out_device')}: ${d.device}`, yes: t('log_out_device'), danger: true, onYes: () => void end(d.device) })}>{t('log_out_device')}</button>}
        </div>
      ))}
      {question}
    </div>
  );
}
