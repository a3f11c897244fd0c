// The panes: list at the left, what is open at the right; on a phone one at a time.
import { t } from '../i18n';
import { linkState, theClient } from '../state/chat';
import { route } from '../state/route';
import { me } from '../state/session';
import { Admin } from './Admin';
import { Empty } from './bits';
import { Chat } from './Chat';
import { Contacts } from './Contacts';
import { Lightbox } from './Lightbox';
import { Settings } from './Settings';
import { Sidebar } from './Sidebar';

export function Shell() {
  const r = route.value;
  return (
    <div class={`shell ${r.page === 'home' ? 'at-home' : 'at-detail'}`}>
      <Sidebar />
      <main class="pane">{detail()}</main>
      <Lightbox />
    </div>
  );

  function detail() {
    switch (r.page) {
      case 'conv': return <Chat key={r.conv} conv={r.conv} />;
      case 'user': return <Chat key={`@${r.user}`} user={r.user} />;
      case 'settings': return <Settings />;
      case 'contacts': return <Contacts />;
      case 'admin': return me.value.admin ? <Admin /> : null;
      default:
        return <div class="wallpaper fill"><Empty icon="send" title={t('pick_chat')} hint={t('pick_chat_hint')} /></div>;
    }
  }
}

/** Says when the connection is away; silent while all is well. */
export function LinkBar() {
  const s = linkState.value;
  if (s === 'online' || s === 'idle') return null;
  return (
    <div class={`link-bar ${s}`} role="status">
      <span class="spinner small" />
      <span>{t(s === 'waiting' ? 'waiting' : 'connecting')}</span>
      {s === 'waiting' && <button type="button" class="link" onClick={() => theClient().check()}>{t('retry_now')}</button>}
    </div>
  );
}
