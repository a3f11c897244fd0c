import { beforeEach, describe, expect, it, vi } from 'vitest';
import { NetError } from '../src/net/error';
import type { Message } from '../src/proto';

const request = vi.fn();
const shown: any[] = [];
const said: string[] = [];
vi.mock('../src/state/chat', () => ({ arrived: (m: Message) => shown.push(m), theClient: () => ({ request }) }));
vi.mock('../src/state/groups', () => ({ refreshGroup: () => {} }));
vi.mock('../src/state/session', () => ({ device: 'web-1', me: { value: { user: 'alice' } } }));
vi.mock('../src/state/toast', () => ({ toast: (text: string) => said.push(text) }));
vi.mock('../src/i18n', () => ({ t: (key: string) => key, tError: (e: NetError) => e.code }));
const { edit } = await import('../src/state/actions');

const old: Message = { conv: 'c', seq: 3, message_id: 'm3', from: 'alice', sent_at: 1, kind: 'text', body: { text: 'old' } };

beforeEach(() => { request.mockReset(); shown.length = 0; said.length = 0; });

describe('an edit', () => {
  it('is shown and true when it was done', async () => {
    request.mockResolvedValueOnce({ edit: { conv: 'c', seq: 9, sent_at: 2 } });
    expect(await edit(old, 'new')).toBe(true);
    expect(shown).toMatchObject([{ seq: 9, kind: 'operation', body: { operation: { op: 'edit', seq: 3, body: { text: 'new' } } } }]);
    expect(said).toEqual([]);
  });

  it('is false when it failed, so that its text can be kept', async () => {
    for (const code of ['offline', 'forbidden']) {
      request.mockRejectedValueOnce(new NetError(code));
      expect(await edit(old, 'new')).toBe(false);
    }
    expect(said).toEqual(['offline', 'forbidden']);
    expect(shown).toEqual([]);
  });
});
