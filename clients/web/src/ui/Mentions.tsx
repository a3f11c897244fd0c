import { Avatar } from './bits';

export interface MentionChoice { user: string; name: string }

/** The "@..." that the caret stands in. */
export function mentionAt(text: string, caret: number): { from: number; query: string } | null {
  const m = /(?:^|[\s，。、！？(（])@([^\s@]{0,32})$/u.exec(text.slice(0, caret));
  return m ? { from: caret - m[1]!.length - 1, query: m[1]!.toLowerCase() } : null;
}

export function mentionedIn(text: string, members: string[], all: boolean): string[] {
  const found = new Set<string>();
  for (const m of text.matchAll(/(?<![\w@./-])@([a-z0-9][a-z0-9_-]{0,31})/g)) {
    if (members.includes(m[1]!) || (all && m[1] === 'all')) found.add(m[1]!);
  }
  return [...found];
}

export function MentionList({ choices, chosen, onPick }: { choices: MentionChoice[]; chosen: number; onPick: (user: string) => void }) {
  return (
    <div class="mention-list" role="listbox">
      {choices.map((x, i) => (
        <button type="button" role="option" key={x.user} aria-selected={i === chosen} class={i === chosen ? 'on' : ''}
          onMouseDown={(e) => e.preventDefault()} onClick={() => onPick(x.user)}>
          <Avatar name={x.name} seed={x.user} size={30} icon={x.user === 'all' ? 'people' : undefined} />
          <b>{x.name}</b><small>@{x.user}</small>
        </button>
      ))}
    </div>
  );
}
