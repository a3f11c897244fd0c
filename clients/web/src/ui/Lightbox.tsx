import { signal } from '@preact/signals';
import { useLayoutEffect } from 'preact/hooks';
import { t, tError } from '../i18n';
import { fileUrl, retryFile, saveFile } from '../state/files';
import { toast } from '../state/toast';
import { IconButton, Spinner } from './bits';

export const lightbox = signal<{ id: string; name: string } | null>(null);

export function Lightbox() {
  const open = lightbox.value;
  // Before it is painted: the key that closes it may come at once.
  useLayoutEffect(() => {
    if (!open) return;
    void retryFile(open.id);
    const key = (e: KeyboardEvent) => { if (e.key === 'Escape') { e.stopPropagation(); lightbox.value = null; } };
    addEventListener('keydown', key, true);
    return () => removeEventListener('keydown', key, true);
  }, [open]);
  if (!open) return null;
  const { url, failed } = fileUrl(open.id).value;
  return (
    <div class="lightbox" role="dialog" aria-modal="true" aria-label={open.name} onClick={() => { lightbox.value = null; }}>
      <header onClick={(e) => e.stopPropagation()}>
        <span>{open.name}</span>
        <IconButton icon="download" label={t('download')} onClick={() => saveFile(open.id, open.name).catch((e) => toast(tError(e), true))} />
        <IconButton icon="close" label={t('close')} autofocus onClick={() => { lightbox.value = null; }} />
      </header>
      {url ? <img src={url} alt={open.name} /> : failed ? <span>{t('picture_failed')}</span> : <Spinner />}
    </div>
  );
}
