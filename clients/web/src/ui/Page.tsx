import type { ComponentChildren } from 'preact';
import { t } from '../i18n';
import { goHome } from '../state/route';
import { IconButton } from './bits';
import { LinkBar } from './Shell';

/** A page beside the list that is no conversation. */
export function Page({ title, children, action }: { title: string; children: ComponentChildren; action?: ComponentChildren }) {
  return (
    <section class="page" aria-label={title}>
      <header class="page-head">
        <IconButton icon="back" label={t('back')} onClick={goHome} />
        <h1>{title}</h1>
        {action}
      </header>
      <LinkBar />
      <div class="page-body"><div class="page-inner">{children}</div></div>
    </section>
  );
}
