// Drives examples/web in Chromium: from an origin that the route allows, and from one that it does
// not. Run by TestBrowserEvents, which looks for the events in Kafka:
//
//	node events.mjs CHROMIUM ALLOWED REFUSED ROUTE

import { chromium } from 'playwright-core';

const [executablePath, allowed, refused, route] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
const context = await browser.newContext();

async function open(origin, options) {
  const page = await context.newPage();
  page.on('pageerror', (e) => console.log(`script: ${e.message}`));
  await page.goto(`${origin}/?${new URLSearchParams({ to: route, ...options })}`);
  await page.waitForFunction(() => globalThis.events);
  return page;
}
const send = (page, from, n) => page.evaluate(([from, n]) => {
  for (let i = from; i < from + n; i++) events.send({ n: i, text: 'ünïcode' });
}, [from, n]);
const sent = (page) => page.waitForFunction(() => events.pending() === 0, null, { timeout: 60_000 });
const close = async (page) => {
  const gone = page.waitForEvent('close');
  await page.close({ runBeforeUnload: true });
  await gone;
};

let page = await open(allowed, { linger: 10 }); // without preflight
await send(page, 0, 5000);
await sent(page);
await close(page);

page = await open(allowed, { linger: 10, type: 'application/x-ndjson' }); // with one
await send(page, 5000, 1000);
await sent(page);
await close(page);

page = await open(allowed, { linger: 600_000 }); // nothing but its beacon can send these
await send(page, 6000, 7);
await close(page);
console.log('beacon');

page = await open(allowed, { linger: 10 });
await context.setOffline(true);
const failed = page.waitForEvent('requestfailed');
await send(page, 6007, 20);
await failed;
await page.waitForFunction(() => events.pending() === 20);
await close(page);
await context.setOffline(false);
page = await open(allowed, { linger: 10 }); // what the page before it left behind
await page.waitForFunction(() => localStorage.length === 0);
await sent(page);

page = await open(refused, { linger: 10 });
const blocked = page.waitForEvent('requestfailed');
await send(page, -5, 5);
await blocked;
const told = await page.evaluate((url) => navigator.sendBeacon(url, '{"n":-6}'), route);
console.log(`refused: ${told}`);
await browser.close();
