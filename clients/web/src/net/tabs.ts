// One tab at a time: all tabs of a browser are one device, and the server lets a device have one socket.
// Where the page is not a secure context there are no locks; then the server's `replaced` is what tells.

/**
 * Resolves to whether this tab may go on. `steal` takes the place of another tab, whose `onLost` is called.
 */
export function takeTab(name: string, steal: boolean, onLost: () => void): Promise<boolean> {
  const locks = navigator.locks as LockManager | undefined;
  if (!locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    locks
      .request(name, steal ? { steal: true } : { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        // Held until the page goes away or another tab steals it.
        return lock ? new Promise<void>((done) => { release = done; }) : undefined;
      })
      .catch(() => onLost());
  });
}

let release: (() => void) | null = null;

export function leaveTab(): void {
  release?.();
  release = null;
}
