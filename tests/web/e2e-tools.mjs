// What e2e.mjs needs beside its checks.

let passed = 0;
let failed = 0;

/** One line a check. `must`: the others make no sense without it. */
export async function check(name, f, must = false) {
  const from = Date.now();
  try {
    await f();
    passed++;
    console.log(`ok    ${name} (${Date.now() - from} ms)`);
  } catch (e) {
    failed++;
    console.log(`FAIL  ${name}: ${String(e.message ?? e).split('\n').slice(0, 6).join(' | ')}`);
    if (must) finish();
  }
}

export function finish(started) {
  if (started) console.log(`${Math.round((Date.now() - started) / 1000)} s`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

/** Asks again until the answer is the wanted one. */
export async function expectSoon(ask, wanted, ms = 8000) {
  const until = Date.now() + ms;
  const want = JSON.stringify(wanted);
  let got;
  for (;;) {
    try {
      got = await ask();
      if (JSON.stringify(got) === want) return;
    } catch (e) { got = e.message; }
    if (Date.now() > until) throw new Error(`wanted ${want}, got ${JSON.stringify(got)}`);
    await new Promise((r) => setTimeout(r, 50));
  }
}

export async function say(page, text) {
  await page.fill('.composer textarea', text);
  await page.press('.composer textarea', 'Enter');
}

/** The texts of the messages that carry the run's tag, in the order on the screen. */
export function texts(page, tag) {
  return page.locator('.row .text').evaluateAll(
    (all, t) => all.map((e) => e.textContent).filter((x) => x.endsWith(` ${t}`)), tag);
}

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export class Browser {
  errors = [];
  constructor(chromium, url) {
    this.url = url;
    this.running = chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags });
  }

  async open(options) {
    const context = await (await this.running).newContext({ viewport: { width: 1280, height: 820 }, ignoreHTTPSErrors: true, ...options });
    context.setDefaultTimeout(10_000);
    // The test cuts connections itself: offline emulation alone leaves an open WebSocket alone.
    await context.addInitScript(() => {
      window.__sockets = new Set();
      const Real = WebSocket;
      window.WebSocket = class extends Real {
        constructor(...a) {
          super(...a);
          window.__sockets.add(this);
          this.addEventListener('close', () => window.__sockets.delete(this));
        }
        send(data) {
          super.send(data);
          if (window.__cutAfterSend && String(data).includes('"send":')) {
            window.__cutAfterSend = false;
            this.close();
          }
        }
      };
    });
    const page = await context.newPage();
    page.on('pageerror', (e) => this.errors.push(e.message));
    page.on('console', (m) => { if (/Content Security Policy/i.test(m.text())) this.errors.push(m.text()); });
    await page.goto(this.url);
    await page.waitForSelector('[name=user]');
    return page;
  }

  async login(page, who) {
    await page.fill('[name=user]', who.user);
    await page.fill('[name=password]', who.pass);
    await page.click('form .button.big');
    await page.waitForSelector('.conv-list, [name=again], .form-error:not(:empty)');
    const error = page.locator('.form-error:not(:empty)');
    if (await error.count()) throw new Error(`${who.user} is not let in: ${await error.innerText()}`);
    if (await page.locator('[name=again]').count()) throw new Error(`${who.user} must change the password first`);
    await page.waitForSelector('.link-bar', { state: 'detached' });
  }

  /** A PNG of 320 by 200. */
  async picture() {
    const page = await (await this.running).newPage({ viewport: { width: 320, height: 200 } });
    const png = await page.screenshot();
    await page.close();
    return png;
  }

  async close() { await (await this.running).close(); }
}
