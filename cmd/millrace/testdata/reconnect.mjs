// Shows the dashboard in Chromium and prints each state of its connection, one
// a line. Run by TestDashboardComesBack, which ends the node meanwhile:
//
//	node reconnect.mjs URL CHROMIUM

import { chromium } from 'playwright-core';

const [url, executablePath] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
const page = await browser.newPage();
page.on('pageerror', (e) => console.log(`script: ${e.message}`));
await page.exposeFunction('tell', (words) => console.log(words));
await page.goto(`${url}/ui`);
await page.evaluate(() => {
  const pill = document.getElementById('status');
  const old = document.getElementById('old');
  const say = () => {
    tell(`state: ${pill.textContent}`);
    if (!old.hidden) tell(`old: ${old.textContent}`);
  };
  new MutationObserver(say).observe(pill, { childList: true, characterData: true, subtree: true });
  say();
});
await page.waitForFunction(() => document.getElementById('fact-kafka').textContent !== '–');
console.log('figures: shown');
