// Conversations and messages in a few words.
import { t, type Key } from '../i18n';
import type { ConvState, Message, Operation } from '../proto';
import { me } from './session';
import { nameOf } from './users';

export function titleOf(c: Pick<ConvState, 'kind' | 'peer' | 'title' | 'conv'>): string {
  if (c.peer) return c.peer === me.value.user ? t('notes') : nameOf(c.peer);
  return c.title || t('unnamed_group');
}

export function avatarSeed(c: Pick<ConvState, 'peer' | 'conv'>): string {
  return c.peer ?? c.conv;
}

/** One line about a message, without who wrote it. */
export function previewOf(m: Message): string {
  if (m.recalled) return t('recalled');
  const text = m.body?.text ?? '';
  switch (m.kind) {
    case 'image': return text ? `🖼 ${text}` : t('kind_image');
    case 'audio': return text || t('kind_audio');
    case 'video': return text || t('kind_video');
    case 'file': return `📎 ${m.body?.file?.name || t('kind_file')}`;
    case 'location': return m.body?.location?.label || t('kind_location');
    case 'card': return m.body?.card?.title || t('kind_card');
    case 'operation': return m.body?.operation ? describeOperation(m.body.operation, m.from) : '';
    case 'command': return `/${[m.body?.command?.name ?? '', ...(m.body?.command?.args ?? [])].join(' ')}`;
    default: return text || t('kind_custom');
  }
}

const who = (user: string) => (user === me.value.user ? t('you') : nameOf(user));

export function describeOperation(op: Operation, from: string): string {
  const users = (op.users ?? []).map(who).join(t('list_comma'));
  const by = who(from);
  switch (op.op) {
    case 'created': return t('op_created', { by });
    case 'invited': return t('op_invited', { by, users });
    case 'joined': return t('op_joined', { by: users || by });
    case 'left': return t('op_left', { by: users || by });
    case 'kicked': return t('op_kicked', { by, users });
    case 'role_changed': return t('op_role', { by, users, role: t(`role_${op.role ?? 'member'}` as Key) });
    case 'muted':
      if (!op.until) return users ? t('op_unmuted', { by, users }) : t('op_unmuted_all', { by });
      return users ? t('op_muted', { by, users }) : t('op_muted_all', { by });
    case 'updated': return op.title ? t('op_renamed', { by, title: op.title }) : t('op_updated', { by });
    default: return '';
  }
}
