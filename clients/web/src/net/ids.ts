// Random names. crypto.randomUUID needs a secure context, which http://raspberrypi.local is not.

function hex(bytes: number): string {
  const b = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
}

export const newClientId = () => `${Date.now().toString(36)}-${hex(8)}`;
/** Says in the list of devices which browser it is: `web-firefox-linux-1a2b3c4d`. */
export const newDeviceId = () => `web-${kind(navigator.userAgent)}${hex(4)}`;

function kind(agent: string): string {
  const browser = /Edg/.test(agent) ? 'edge' : /Firefox|FxiOS/.test(agent) ? 'firefox' : /Chrome|CriOS/.test(agent) ? 'chrome' : /Safari/.test(agent) ? 'safari' : '';
  const system = /Android|iPhone|iPad|Windows|Mac|Linux/.exec(agent)?.[0].toLowerCase() ?? '';
  return [browser, system].filter(Boolean).map((x) => `${x}-`).join('');
}
