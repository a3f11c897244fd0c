// The web client in Chromium against a running server, two users at once. Prints a line a check.
//   PIGEON_URL=http://127.0.0.1:8460 PIGEON_USER_A=alice PIGEON_PASS_A=... PIGEON_USER_B=bob PIGEON_PASS_B=... node tests/web/e2e.mjs
// Data of earlier runs does not matter: every text carries the run's own tag.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Browser, check, expectSoon, finish, say, texts } from './e2e-tools.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const { chromium } = createRequire(join(here, '../../clients/web/package.json'))('playwright-core');
const env = (name, otherwise) => process.env[name] ?? otherwise;
const url = env('PIGEON_URL', 'http://127.0.0.1:8460').replace(/\/$/, '');
const A = { user: env('PIGEON_USER_A', 'alice'), pass: env('PIGEON_PASS_A', 'pigeon-pass') };
const B = { user: env('PIGEON_USER_B', 'bob'), pass: env('PIGEON_PASS_B', 'pigeon-pass') };
const tag = Date.now().toString(36);
const started = Date.now();

const browser = new Browser(chromium, url);
const [a, b] = await Promise.all([browser.open({ locale: 'en-US' }), browser.open({ locale: 'zh-CN' })]);
const withText = (p, text) => p.locator('.row', { hasText: text });
const home = (p) => p.evaluate(() => { location.hash = '#/'; });
const direct = async (p, other) => {
  await p.evaluate((u) => { location.hash = `#/u/${u}`; }, other.user);
  await p.waitForSelector('.composer textarea');
};
const itemOf = (p, text) => p.locator('.conv', { hasText: text });

await check('the language of the browser is detected', async () => {
  await expectSoon(() => a.locator('html').getAttribute('lang'), 'en');
  await expectSoon(() => b.locator('html').getAttribute('lang'), 'zh-CN');
});

await check('a wrong password is refused', async () => {
  await a.fill('[name=user]', A.user);
  await a.fill('[name=password]', `${A.pass}-wrong`);
  await a.click('form .button.big');
  await expectSoon(async () => (await a.locator('.form-error').innerText()).length > 0, true);
});

await check('both users log in', async () => {
  await Promise.all([browser.login(a, A), browser.login(b, B)]);
}, true);

await check('a direct message arrives and counts as unread', async () => {
  await direct(b, A);
  await expectSoon(async () => { // what earlier runs left is read first
    await b.locator('.list').evaluate((l) => { l.scrollTop = l.scrollHeight; });
    return b.locator('.conv.open .badge').count();
  }, 0);
  await home(b);
  await direct(a, B);
  await say(a, `one ${tag}`);
  await say(a, `two ${tag}`);
  await expectSoon(() => itemOf(b, `two ${tag}`).locator('.badge:not(.at)').innerText(), '2');
  await expectSoon(async () => (await b.title()).startsWith('('), true);
}, true);

await check('delivered, then read when the other looks', async () => {
  const status = () => withText(a, `two ${tag}`).locator('[data-status]').getAttribute('data-status');
  await expectSoon(status, 'st_delivered');
  await itemOf(b, `two ${tag}`).click();
  await withText(b, `two ${tag}`).waitFor();
  await expectSoon(status, 'st_read');
  await expectSoon(() => b.locator('.conv.open .badge').count(), 0);
});

await check('the answer comes back, both in one order', async () => {
  await say(b, `three ${tag}`);
  await withText(a, `three ${tag}`).waitFor();
  await expectSoon(() => texts(a, tag), [`one ${tag}`, `two ${tag}`, `three ${tag}`]);
  await expectSoon(() => texts(b, tag), [`one ${tag}`, `two ${tag}`, `three ${tag}`]);
});

await check('typing and presence are shown', async () => {
  await a.locator('.chat-head .dot-online').waitFor();
  await b.locator('.composer textarea').pressSequentially('…');
  await a.locator('.chat-head .typing').waitFor();
  await b.fill('.composer textarea', '');
});

await check('a reply quotes, and the quote leads to the message', async () => {
  await withText(a, `three ${tag}`).hover();
  await withText(a, `three ${tag}`).locator('.row-tools button').nth(1).click();
  await a.locator('.compose-quote').waitFor();
  await say(a, `reply ${tag}`);
  await withText(b, `reply ${tag}`).locator('.quote', { hasText: `three ${tag}` }).click();
  await b.locator('.row.flash', { hasText: `three ${tag}` }).waitFor();
});

await check('a draft is kept for each conversation', async () => {
  await a.fill('.composer textarea', `draft ${tag}`);
  await direct(a, A);
  await expectSoon(() => a.inputValue('.composer textarea'), '');
  await direct(a, B);
  await expectSoon(() => a.inputValue('.composer textarea'), `draft ${tag}`);
  await a.fill('.composer textarea', '');
});

await check('arrow-up edits the last message', async () => {
  await say(a, `typo ${tag}`);
  await withText(b, `typo ${tag}`).waitFor();
  await expectSoon(() => withText(a, `typo ${tag}`).getAttribute('data-seq').then(Boolean), true);
  await a.press('.composer textarea', 'ArrowUp');
  await expectSoon(() => a.inputValue('.composer textarea'), `typo ${tag}`);
  await say(a, `fixed ${tag}`);
  await withText(b, `fixed ${tag}`).waitFor();
  await expectSoon(() => withText(b, `typo ${tag}`).count(), 0);
  await withText(a, `fixed ${tag}`).waitFor();
});

await check('the text of an edit that failed is still there', async () => {
  await a.context().setOffline(true);
  await a.evaluate(() => window.__sockets.forEach((s) => s.close()));
  await a.locator('.link-bar').first().waitFor();
  await a.press('.composer textarea', 'ArrowUp');
  await expectSoon(() => a.inputValue('.composer textarea'), `fixed ${tag}`);
  await say(a, `mended ${tag}`);
  await a.locator('.toast.bad').first().waitFor();
  await a.context().setOffline(false);
  await expectSoon(() => a.locator('.link-bar').count(), 0, 20_000);
  await expectSoon(() => a.inputValue('.composer textarea'), `mended ${tag}`);
  await a.locator('.compose-quote').waitFor();
  await say(a, `fixed ${tag}`); // as it was: nothing to save
  await a.locator('.compose-quote').waitFor({ state: 'detached' });
  await expectSoon(() => a.inputValue('.composer textarea'), '');
});

await check('a reaction goes on and off', async () => {
  await withText(b, `fixed ${tag}`).hover();
  await withText(b, `fixed ${tag}`).locator('.row-tools button').nth(0).click();
  await b.locator('.quick button').nth(0).click();
  const chip = withText(a, `fixed ${tag}`).locator('.reaction');
  await expectSoon(() => chip.locator('b').innerText(), '1');
  await chip.click();
  await expectSoon(() => withText(b, `fixed ${tag}`).locator('.reaction b').innerText(), '2');
  await withText(b, `fixed ${tag}`).locator('.reaction').click();
  await expectSoon(() => chip.locator('b').innerText(), '1');
});

await check('a recalled message disappears', async () => {
  await say(a, `oops ${tag}`);
  await withText(b, `oops ${tag}`).waitFor();
  const row = withText(a, `oops ${tag}`);
  await expectSoon(() => row.getAttribute('data-seq').then(Boolean), true);
  const seq = await row.getAttribute('data-seq');
  await row.locator('.bubble').click({ button: 'right' });
  await a.click('.menu [data-action=recall]');
  await a.click('.modal .button.danger');
  await expectSoon(() => withText(b, `oops ${tag}`).count(), 0);
  await b.locator(`[data-seq="${seq}"] .recalled`).waitFor();
  await a.locator(`[data-seq="${seq}"] .recalled`).waitFor();
});

await check('markup stays text, links become links', async () => {
  await say(a, `<b id=x>${tag}</b> https://example.org/${tag}.`);
  const row = withText(b, `<b id=x>${tag}</b>`);
  await row.waitFor();
  await expectSoon(() => row.locator('a').getAttribute('href'), `https://example.org/${tag}`);
});

await check('a picture is seen by the other', async () => {
  const before = await b.locator('.picture img').count();
  await a.setInputFiles('.composer input[type=file]', { name: `${tag}.png`, mimeType: 'image/png', buffer: await browser.picture() });
  await a.locator('.tray-file img').waitFor();
  await a.press('.composer textarea', 'Enter');
  await expectSoon(() => b.locator(`.picture img[alt="${tag}.png"]`).evaluate((i) => i.naturalWidth), 320);
  if ((await b.locator('.picture img').count()) <= before) throw new Error('no new picture');
  await b.locator(`.picture img[alt="${tag}.png"]`).click();
  await b.locator('.lightbox img').waitFor();
  await b.keyboard.press('Escape');
});

await check('a file is offered for download, unchanged', async () => {
  await a.setInputFiles('.composer input[type=file]', { name: `${tag}.txt`, mimeType: 'text/plain', buffer: Buffer.from(`hello ${tag}`) });
  await a.press('.composer textarea', 'Enter');
  const card = withText(b, `${tag}.txt`).locator('.file-icon');
  await card.waitFor();
  const [got] = await Promise.all([b.waitForEvent('download'), card.click()]);
  const parts = [];
  for await (const c of await got.createReadStream()) parts.push(c);
  if (Buffer.concat(parts).toString() !== `hello ${tag}`) throw new Error('other bytes');
});

await check('a cut connection loses nothing and doubles nothing', async () => {
  const wanted = [1, 2, 3, 4, 5].map((i) => `cut${i} ${tag}`);
  // The socket closes right behind the first message: it is stored, and its answer never comes.
  await a.evaluate(() => { window.__cutAfterSend = true; });
  await say(a, wanted[0]);
  await a.context().setOffline(true);
  await a.evaluate(() => window.__sockets.forEach((s) => s.close()));
  for (const w of wanted.slice(1)) await say(a, w);
  await expectSoon(() => withText(a, `cut5 ${tag}`).locator('[data-status]').getAttribute('data-status'), 'st_waiting');
  await a.waitForTimeout(600);
  await a.context().setOffline(false);
  await withText(b, `cut5 ${tag}`).waitFor({ timeout: 20_000 });
  await b.waitForTimeout(400);
  const seen = async (p) => (await texts(p, tag)).filter((x) => x.startsWith('cut'));
  await expectSoon(() => seen(b), wanted);
  await expectSoon(() => seen(a), wanted);
  await expectSoon(() => a.locator('[data-status=st_waiting],[data-status=st_sending]').count(), 0);
});

await check('unsent messages survive a reload', async () => {
  await a.context().setOffline(true);
  await a.evaluate(() => window.__sockets.forEach((s) => s.close()));
  await say(a, `kept ${tag}`);
  await a.context().setOffline(false);
  await a.reload();
  await withText(b, `kept ${tag}`).waitFor({ timeout: 20_000 });
  await expectSoon(() => withText(b, `kept ${tag}`).count(), 1);
});

const group = `Group ${tag}`;
await check('a group is made, and both talk in it', async () => {
  await a.waitForSelector('.conv');
  await a.click('.side-head .menu-anchor > button');
  await a.locator('.menu [role=menuitem]').nth(2).click();
  await a.fill('.modal [name=title]', group);
  await a.fill('.modal [type=search]', B.user);
  await a.click(`.modal [data-user="${B.user}"]`);
  await a.click('.modal-foot .button:not(.plain)');
  await a.locator('.chat-head', { hasText: group }).waitFor();
  await say(a, `hello group @${B.user} ${tag}`);
  await itemOf(b, group).click();
  await withText(b, `hello group`).locator('.mention.self').waitFor();
  await say(b, `hello back ${tag}`);
  await withText(a, `hello back ${tag}`).waitFor();
}, true);

await check('a group shows who has read', async () => {
  const by = withText(a, 'hello group').locator('.read-by');
  await by.waitFor();
  await by.click();
  await a.locator('.modal .user-row', { hasText: `@${B.user}` }).waitFor();
  await a.keyboard.press('Escape');
});

await check('a group is renamed and its role changed', async () => {
  await a.click('.chat-who');
  await a.locator('.info-top h3 button').click();
  await a.fill('.rename input', `${group} renamed`);
  await a.click('.rename button');
  await b.locator('.chat-head', { hasText: `${group} renamed` }).waitFor();
  await a.click(`.member[data-user="${B.user}"] .user-row`);
  await a.click('.member-actions [data-action=make_admin]');
  await a.locator(`.member[data-user="${B.user}"] .tag.admin`).waitFor();
  await a.click('.info-head button');
});

await check('a muted member cannot write until he may again', async () => {
  await a.click('.chat-who');
  const act = async (action) => {
    await a.click(`.member[data-user="${B.user}"] .user-row`);
    await a.click(`.member-actions [data-action=${action}]`);
  };
  await act('mute_1h');
  await b.locator('.composer-note').waitFor();
  await a.locator(`.member[data-user="${B.user}"] .tag`, { hasText: 'muted' }).waitFor();
  await act('unmute');
  await b.locator('.composer textarea').waitFor();
  await a.click('.info-head button');
});

await check('who is removed from a group, or leaves it, sees that', async () => {
  const member = a.locator(`.member[data-user="${B.user}"]`);
  const invite = async () => {
    await a.click('.members .card-head .link');
    await a.fill('.modal [type=search]', B.user);
    await a.click(`.modal [data-user="${B.user}"]`);
    await a.click('.modal-foot .button:not(.plain)');
    await member.waitFor();
    await itemOf(b, group).click();
    await b.locator('.composer textarea').waitFor();
  };
  await a.click('.chat-who');
  await member.locator('.user-row').click();
  await a.click('.member-actions [data-action=kick]');
  await a.click('.modal .button.danger');
  await b.locator('.pane .empty').waitFor();
  await expectSoon(() => itemOf(b, group).count(), 0);
  await expectSoon(() => member.count(), 0);
  await invite();
  await b.click('.chat-who');
  await b.click('.info .card.actions .danger');
  await b.click('.modal .button.danger');
  await expectSoon(() => itemOf(b, group).count(), 0);
  await expectSoon(() => member.count(), 0);
  await invite();
  await a.click('.info-head button');
});

await check('history of more than 60 messages is scrolled', async () => {
  for (let i = 1; i <= 70; i++) await say(a, `line ${i} ${tag}`);
  await withText(b, `line 70 ${tag}`).waitFor({ timeout: 40_000 });
  await expectSoon(() => a.locator('[data-status=st_waiting],[data-status=st_sending]').count(), 0);
  await b.waitForTimeout(500); // its watermark goes out
  await b.reload();
  await withText(b, `line 70 ${tag}`).waitFor();
  if (await withText(b, `hello group`).count()) throw new Error('everything was loaded at once');
  await expectSoon(async () => {
    await b.locator('.list').evaluate((l) => { l.scrollTop = 0; });
    return withText(b, `hello group`).count();
  }, 1, 15_000);
  const lines = (await texts(b, tag)).filter((x) => x.startsWith('line'));
  if (lines.join() !== Array.from({ length: 70 }, (_, i) => `line ${i + 1} ${tag}`).join()) throw new Error('not complete, not in order');
});

await check('the button leads to the newest message and counts the new ones', async () => {
  await b.locator('.list').evaluate((l) => { l.scrollTop = 0; });
  await b.locator('.to-bottom').waitFor();
  await say(a, `newest ${tag}`);
  await expectSoon(() => b.locator('.to-bottom .badge').innerText(), '1');
  await b.click('.to-bottom');
  await expectSoon(() => b.locator('.list').evaluate((l) => l.scrollHeight - l.scrollTop - l.clientHeight < 30), true);
  await expectSoon(() => b.locator('.conv.open .badge').count(), 0);
});

await check('phone width shows one pane, with a way back', async () => {
  await b.setViewportSize({ width: 390, height: 844 });
  await expectSoon(() => b.locator('.sidebar').isVisible(), false);
  await say(b, `from the phone ${tag}`);
  await withText(a, `from the phone ${tag}`).waitFor();
  const wide = await b.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  if (wide) throw new Error('wider than the screen');
  await b.click('.chat-head .only-phone');
  await expectSoon(() => b.locator('.sidebar').isVisible(), true);
  await expectSoon(() => b.locator('.composer').count(), 0);
  await b.setViewportSize({ width: 1280, height: 820 });
});

await check('a picture is pasted', async () => {
  await direct(a, B);
  await direct(b, A);
  const bytes = [...await browser.picture()];
  await a.locator('.composer textarea').evaluate((el, [name, list]) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([new Uint8Array(list)], name, { type: 'image/png' }));
    el.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, [`paste-${tag}.png`, bytes]);
  await a.locator('.tray-file img').waitFor();
  await a.press('.composer textarea', 'Enter');
  await expectSoon(() => b.locator(`.picture img[alt="paste-${tag}.png"]`).evaluate((i) => i.naturalWidth), 320);
});

await check('who is blocked is told so, and may write again later', async () => {
  const block = async () => { // the same button takes it back
    await a.click('.chat-who');
    await a.locator('.info .card.actions button').last().click();
  };
  await block();
  await a.click('.modal .button.danger');
  await a.locator('.info .card.actions button:not(.danger)').last().waitFor();
  await expectSoon(() => a.locator('.info .card.actions .danger').count(), 0);
  await a.click('.info-head button');
  await say(b, `blocked ${tag}`);
  await withText(b, `blocked ${tag}`).locator('.failed-line', { hasText: '对方不接收你的消息' }).waitFor();
  await block();
  await a.locator('.info .card.actions .danger').waitFor();
  await a.click('.info-head button');
  await withText(b, `blocked ${tag}`).locator('.failed-line .link').first().click();
  await withText(a, `blocked ${tag}`).waitFor();
  await expectSoon(() => withText(b, `blocked ${tag}`).locator('.failed-line').count(), 0);
});

await check('a device that is logged out falls back to the log-in', async () => {
  const c = await browser.open({ locale: 'en-US' });
  await browser.login(c, B);
  const device = await c.evaluate(() => JSON.parse(localStorage.getItem('pigeon.device')));
  await b.evaluate(() => { location.hash = '#/settings'; });
  await b.locator('.page .user-row', { hasText: device }).locator('.button').click();
  await b.click('.modal .button.danger');
  await c.locator('[name=user]').waitFor();
  await c.locator('.note').waitFor();
  await expectSoon(() => b.locator('.page .user-row', { hasText: device }).count(), 0);
  await c.context().close();
});

await check('the language is switched and stays', async () => {
  await a.evaluate(() => { location.hash = '#/settings'; });
  await a.click('.segments button:has-text("中文")');
  await expectSoon(() => a.locator('.page-head h1').innerText(), '设置');
  await a.reload();
  await expectSoon(() => a.locator('.page-head h1').innerText(), '设置');
  await a.click('.segments button:has-text("English")');
  await expectSoon(() => a.locator('.page-head h1').innerText(), 'Settings');
});

await check('the application opens without network', async () => {
  if (!(await a.evaluate(() => isSecureContext))) return; // no service worker there
  await a.evaluate(() => navigator.serviceWorker.ready.then(() => 1));
  await a.context().setOffline(true);
  await a.reload();
  await a.locator('.link-bar').first().waitFor();
  await a.context().setOffline(false);
  await expectSoon(() => a.locator('.link-bar').count(), 0);
});

await check('two tabs do not fight for the connection', async () => {
  await expectSoon(() => a.locator('.link-bar').count(), 0);
  const second = await a.context().newPage();
  await second.goto(url);
  // Without a secure context there are no locks: the newer tab takes over at once, and the older one does not fight.
  if (await a.evaluate(() => isSecureContext)) {
    await second.locator('.gate .button').waitFor();
    await second.click('.gate .button');
  }
  await second.locator('.conv').first().waitFor();
  await a.locator('.gate .button').waitFor();
  await second.close();
});

await check('no script error, nothing refused by the content security policy', async () => {
  if (browser.errors.length) throw new Error(browser.errors.join('\n'));
});

await browser.close();
finish(started);
