// Drawn for this application, on a 24 by 24 grid with strokes of 1.8.
const paths = {
  menu: 'M4 7h16M4 12h16M4 17h10',
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM15.5 15.5 20 20',
  back: 'M19 12H5M11 5.5 4.5 12l6.5 6.5',
  close: 'M6 6l12 12M18 6 6 18',
  plus: 'M12 5v14M5 12h14',
  pen: 'M4 20l.9-4.2L16.2 4.5a1.7 1.7 0 0 1 2.4 0l.9.9a1.7 1.7 0 0 1 0 2.4L8.2 19.1 4 20ZM14 6.7l3.3 3.3',
  people: 'M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.8 19.5c.5-3.4 3-5.3 6.2-5.3s5.7 1.9 6.2 5.3M15.6 4.9a3.3 3.3 0 0 1 0 6.2M17.6 14.6c2 .7 3.3 2.4 3.7 4.9',
  person: 'M12 11.5a3.8 3.8 0 1 0 0-7.5 3.8 3.8 0 0 0 0 7.5ZM4.8 20c.5-3.7 3.5-5.7 7.2-5.7s6.7 2 7.2 5.7',
  gear: 'M12 15.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM12 3v2.5M12 18.5V21M3 12h2.5M18.5 12H21M5.6 5.6l1.8 1.8M16.6 16.6l1.8 1.8M18.4 5.6l-1.8 1.8M7.4 16.6l-1.8 1.8',
  shield: 'M12 3.5 5 6v5.5c0 4.3 2.9 7.4 7 9 4.1-1.6 7-4.7 7-9V6l-7-2.5ZM9 12l2.2 2.2L15.3 10',
  exit: 'M14 4.5H7A1.5 1.5 0 0 0 5.5 6v12A1.5 1.5 0 0 0 7 19.5h7M11 12h9.5M17 8.5l3.5 3.5-3.5 3.5',
  send: 'M4.5 11.9 19.8 4.6c.4-.2.8.2.7.6l-4.4 14.3c-.1.4-.7.5-.9.1l-3.5-6.2-6.9-.7c-.5 0-.7-.6-.3-.8ZM11.7 13.4l3.5-3.7',
  clip: 'M19.5 11.5l-7.6 7.6a4.7 4.7 0 0 1-6.6-6.6l8-8a3.2 3.2 0 0 1 4.5 4.5l-7.9 7.9a1.6 1.6 0 0 1-2.3-2.3l7-7',
  smile: 'M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM8.3 14c.8 1.5 2.1 2.3 3.7 2.3s2.9-.8 3.7-2.3M9 9.5v.6M15 9.5v.6',
  reply: 'M9.5 6 4 11.5 9.5 17M4.5 11.5H13c4 0 6.5 2.2 7 6.5',
  more: 'M12 6v.01M12 12v.01M12 18v.01',
  copy: 'M9 8.5h9A1.5 1.5 0 0 1 19.5 10v9a1.5 1.5 0 0 1-1.5 1.5H9A1.5 1.5 0 0 1 7.5 19v-9A1.5 1.5 0 0 1 9 8.5ZM4.5 15.5V5A1.5 1.5 0 0 1 6 3.5h9.5',
  trash: 'M4.5 6.5h15M9.5 6V4h5v2M6.5 6.5l.8 13h9.4l.8-13M10.3 10.5v5.5M13.7 10.5v5.5',
  undo: 'M4.5 9.5h10a5 5 0 0 1 0 10H9M8 5.5l-4 4 4 4',
  down: 'M6 9.5l6 6 6-6',
  download: 'M12 4v11M7.5 11 12 15.5 16.5 11M5 19.5h14',
  file: 'M7 3.5h7l4.5 4.5v11.5a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1v-15a1 1 0 0 1 1-1ZM13.5 3.5V8.5h5',
  info: 'M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM12 11v5.5M12 7.7v.1',
  eye: 'M2.8 12C5 8 8.3 6 12 6s7 2 9.2 6c-2.2 4-5.5 6-9.2 6s-7-2-9.2-6ZM12 14.7a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4Z',
  clock: 'M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM12 8v4.3l2.8 1.7',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  checks: 'M2.5 12.8l4 4L15 8M11.5 16.3l.7.5L21 8',
  alert: 'M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM12 7.5v5.5M12 16.3v.1',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1 1M17.4 17.4l1 1M18.4 5.6l-1 1M6.6 17.4l-1 1',
  moon: 'M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10Z',
  device: 'M5 5h14a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1ZM9 20h6M12 16v4',
  at: 'M12 15.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM15.5 8.5v4.8c0 1.5.9 2.4 2.2 2.4 1.7 0 2.8-1.6 2.8-4A8.5 8.5 0 1 0 17 18.8',
  globe: 'M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM3.8 12h16.4M12 3.5c-5 5-5 12 0 17 5-5 5-12 0-17Z',
  play: 'M8 5.5v13l10.5-6.5L8 5.5Z',
  key: 'M8 18a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM11 11.2 19.5 4M16 7l2.5 2.8',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 22 }: { name: IconName; size?: number }) {
  return (
    <svg class={`icon i-${name}`} width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor"
      stroke-width={name === 'more' ? 2.8 : 1.8} stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

/** The pigeon, folded from paper. */
export function Logo({ size = 64 }: { size?: number }) {
  return (
    <svg class="logo" width={size} height={size} viewBox="0 0 64 64" aria-hidden="true">
      <rect class="logo-back" width="64" height="64" rx="18" />
      <path fill="#fff" d="M21 35 36 30.5 44.5 21.5 50 24.5 56.5 27 49 29.5 43 43.5 30 49.5Z" />
      <path fill="#fff" opacity=".78" d="M36 30.5 24.5 9.5 45 22Z" />
      <path fill="#fff" opacity=".62" d="M36 30.5 14.5 16 21 35Z" />
      <path fill="#fff" opacity=".78" d="M21 35 7.5 45.5 19.5 47 30 49.5Z" />
    </svg>
  );
}
