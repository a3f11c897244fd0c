import { useState } from 'preact/hooks';
import { t, tError } from '../i18n';
import { bytes } from '../i18n/time';
import type { FileRef, Message } from '../proto';
import { previewOf } from '../state/describe';
import { fileUrl, retryFile, saveFile, type Loaded } from '../state/files';
import { toast } from '../state/toast';
import { cancelUpload, type Upload } from '../state/uploads';
import { Icon } from './icons';
import { lightbox } from './Lightbox';
import { isBigEmoji, RichText } from './RichText';

export function MessageBody({ m, up }: { m: Message; up?: Upload }) {
  const text = m.body?.text ?? '';
  const file = m.body?.file;
  if (m.kind === 'text') return <Text m={m} text={text} />;
  if (!file) return <span class="text odd">{previewOf(m)}</span>;
  return (
    <>
      {m.kind === 'image' ? <Picture file={file} up={up} />
        : m.kind === 'audio' || m.kind === 'video' ? <Player file={file} kind={m.kind} up={up} />
        : <FileCard file={file} up={up} />}
      {text && <Text m={m} text={text} />}
    </>
  );
}

function Text({ m, text }: { m: Message; text: string }) {
  return <span class={`text ${m.kind === 'text' && isBigEmoji(text) ? 'big' : ''}`}><RichText text={text} mentions={m.mentions} /></span>;
}

// The box has its final size before the bytes are here, so that nothing jumps.
function boxOf(file: FileRef): { width: string; aspectRatio: string } {
  const w = file.width || 320;
  const h = file.height || 240;
  const scale = Math.min(1, 360 / w, 380 / h);
  return { width: `${Math.max(120, Math.round(w * scale))}px`, aspectRatio: `${w} / ${Math.min(h, w * 3)}` };
}

function Picture({ file, up }: { file: FileRef; up?: Upload }) {
  const { url, failed, gone }: Loaded = up ? { url: up.url } : fileUrl(file.file_id).value;
  const again = failed && !gone;
  return (
    <button type="button" class="picture" style={boxOf(file)} aria-label={failed ? undefined : t('open_picture')} disabled={!!up || !(url || again)}
      onClick={() => {
        if (again) void retryFile(file.file_id);
        else lightbox.value = { id: file.file_id, name: file.name ?? '' };
      }}>
      {url && <img src={url} alt={file.name ?? ''} />}
      {!url && !failed && <span class="spinner" />}
      {failed && <span class="picture-failed">{t('picture_failed')}{again && <b>{t('try_again')}</b>}</span>}
      {up && !up.error && <Progress up={up} />}
    </button>
  );
}

function Progress({ up }: { up: Upload }) {
  const n = Math.round(up.part * 100);
  return (
    <span class="upload" role="progressbar" aria-valuenow={n} aria-label={t('uploading', { n })}>
      <svg viewBox="0 0 44 44" width="52" height="52">
        <circle cx="22" cy="22" r="18" class="ring" />
        <circle cx="22" cy="22" r="18" class="ring-on" pathLength={100} stroke-dasharray={`${Math.max(4, n)} 100`} />
      </svg>
    </span>
  );
}

function FileCard({ file, up }: { file: FileRef; up?: Upload }) {
  const name = file.name || t('kind_file');
  const save = () => { if (!up) saveFile(file.file_id, name).catch((e) => toast(tError(e), true)); };
  return (
    <span class="file-card">
      <button type="button" class="file-icon" aria-label={up ? t('cancel') : `${t('download')} ${name}`} onClick={() => (up ? cancelUpload(up.id) : save())}>
        <Icon name={up ? 'close' : 'download'} />
      </button>
      <span class="file-names">
        <b>{name}</b>
        <small>{up && !up.error ? t('uploading', { n: Math.round(up.part * 100) }) : bytes(file.size ?? 0)}</small>
      </span>
    </span>
  );
}

function Player({ file, kind, up }: { file: FileRef; kind: 'audio' | 'video'; up?: Upload }) {
  const [wanted, want] = useState(false);
  const { url, failed, gone }: Loaded = up || !wanted ? {} : fileUrl(file.file_id).value;
  if (up || !wanted || failed) {
    const play = () => { want(true); void retryFile(file.file_id); };
    return (
      <span class="player-row">
        <FileCard file={file} up={up} />
        {failed && <span class="picture-failed">{t('file_failed')}</span>}
        {!up && !gone && <button type="button" class="button small" onClick={play}><Icon name="play" size={16} />{t('play')}</button>}
      </span>
    );
  }
  if (!url) return <span class="spinner" />;
  return kind === 'audio' ? <audio controls autoplay src={url} /> : <video class="video" controls autoplay src={url} />;
}
