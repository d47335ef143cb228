// What scripts that look at the dashboard share: the API, /metrics, and a window of
// Chromium that gathers what must not be.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';

export const [url, executablePath, directory] = process.argv.slice(2);
export const JSON2 = { 'Content-Type': 'application/vnd.kafka.json.v2+json' };
export const V2 = { 'Content-Type': 'application/vnd.kafka.v2+json' };
const PATIENCE = 60_000; // ms

export const step = (what) => console.log(`-- ${what}`);

// until polls a condition, which is true when it returns without a throw.
export async function until(what, check) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await check();
    } catch (e) {
      if (Date.now() > end) throw new Error(`waited in vain for ${what}: ${e.message}`, { cause: e });
      await pause(100);
    }
  }
}

export async function api(method, path, body, headers) {
  const raw = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(url + path, { method, headers, body: raw });
  const text = await response.text();
  return { status: response.status, json: text && JSON.parse(text) };
}

// series are the lines of a metric whose labels hold all of the texts, as
// {labels, value}.
export async function series(name, ...labels) {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text.split('\n')
    .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
    .map((line) => ({ labels: line, value: Number(line.slice(line.lastIndexOf(' '))) }));
}

export const metric = async (...of) => (await series(...of)).reduce((sum, s) => sum + s.value, 0);

export const launch = () => chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });

export const looks = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: 'light', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, reducedMotion: 'reduce', isMobile: true, hasTouch: true },
};

// open shows the dashboard in a window of its own, and gathers what must not be.
export async function open(browser, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const faults = [];
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) faults.push(`console: ${m.text()}`); });
  page.on('pageerror', (e) => faults.push(`script: ${e.message}`));
  page.on('dialog', (d) => { faults.push(`dialog: ${d.message()}`); d.dismiss(); });
  page.on('request', (r) => { if (new URL(r.url()).origin !== url) faults.push(`request to another host: ${r.url()}`); });
  page.on('response', (r) => { if (r.status() >= 400) faults.push(`${r.status()} ${r.url()}`); });
  page.setDefaultTimeout(PATIENCE);
  await page.goto(`${url}/ui`);
  await page.waitForSelector('#status[data-state=good]');
  return { context, page, faults };
}

export const text = (page, selector) => page.locator(selector).first().innerText();
const numberIn = (words) => {
  const n = Number.parseFloat(words.replaceAll(',', ''));
  assert.ok(!Number.isNaN(n), `${words} is no number`);
  return n;
};
export const shownNumber = async (page, selector) => numberIn(await text(page, selector));
export const row = (page, table, key) => page.locator(`#${table} > tbody > tr`).filter({ has: page.getByRole('rowheader', { name: key, exact: true }) });
export const cellText = (page, table, key, n) => row(page, table, key).locator('th, td').nth(n).innerText();
export const cell = async (...of) => numberIn(await cellText(...of));

// seconds reads a duration that the page has written.
export function seconds(words) {
  const [, n, unit] = words.match(/^([\d.,]+) (µs|ms|s)$/) ?? assert.fail(`${words} is no duration`);
  return numberIn(n) * { 'µs': 1e-6, ms: 1e-3, s: 1 }[unit];
}
