// Random names. crypto.randomUUID needs a secure context, which http://raspberrypi.local is not.

function hex(bytes: number): string {
  const b = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
}

export const newClientId = () => `${Date.now().toString(36)}-${hex(8)}`;
export const newDeviceId = () => `web-${hex(4)}`;
