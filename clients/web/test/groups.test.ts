import { beforeEach, describe, expect, it, vi } from 'vitest';

// The members' answer waits until the test gives it.
const answers: ((read: number) => void)[] = [];
vi.mock('../src/state/chat', () => ({
  alsoWatch: () => {},
  theClient: () => ({
    request: (op: string) => (op === 'info' ? Promise.resolve({ info: {} }) : new Promise((resolve) => {
      answers.push((read) => resolve({ members: { members: [{ user: 'bob', read, delivered: read }] } }));
    })),
  }),
}));
vi.mock('../src/state/convs', () => ({ convs: { peek: () => new Map() } }));
vi.mock('../src/state/users', () => ({ remember: () => {} }));
const { forgetGroups, groupOf, noteGroupMark, refreshGroup } = await import('../src/state/groups');

const turn = () => new Promise((r) => setTimeout(r));
const read = () => groupOf('g').value.members.map((m) => [m.read, m.delivered]);

describe('members of a group', () => {
  beforeEach(() => { forgetGroups(); answers.length = 0; });

  it('keep a mark that overtook the list', async () => {
    groupOf('g');
    noteGroupMark({ conv: 'g', user: 'bob', read: 7 });
    answers[0]!(3);
    await turn();
    expect(read()).toEqual([[7, 7]]);
    refreshGroup('g');
    answers[1]!(9);
    await turn();
    expect(read()).toEqual([[9, 9]]);
  });

  it('are those of the newest list', async () => {
    groupOf('g');
    refreshGroup('g');
    answers[1]!(5);
    await turn();
    answers[0]!(2);
    await turn();
    expect(read()).toEqual([[5, 5]]);
  });
});
