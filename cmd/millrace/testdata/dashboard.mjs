// Drives the dashboard in Chromium under a light load of its own and checks what
// an operator would see. It prints what it found and exits with 1 at the first
// thing that is wrong. Run by TestDashboard (make browser):
//
//	node dashboard.mjs URL CHROMIUM

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { errorsHaveSamples, figuresAreTrue, figuresMove, layoutHolds, manyInstancesAreFound, manyTopicsAreFound, onlyServerErrorsAlarm, topicsOpen } from './figures.mjs';
import { answersAreCleared, consumeFormWorks, produceFormWorks, tailFindsTheFormat, tailIsExact, tailKeepsUp, tailShowsRecords } from './forms.mjs';
import { chartsHaveKeys, everythingHasFocus, isAccessible, keyboardWorks, tablesKeepFocus } from './keyboard.mjs';
import { api, JSON2, launch, looks, open, row, step, until, V2 } from './page.mjs';

const EVIL = '<img src=x onerror=alert(1)>';

// The load: about forty requests a second, some of them wrong.
const load = { on: true };
let sent = 0;

async function produce(topic, keep) {
  while (load.on) {
    const records = Array.from({ length: 1 + sent % 9 }, () => ({ value: { topic, sequence: sent++, celsius: 20 + Math.sin(sent / 50) } }));
    const got = await api('POST', `/topics/${topic}`, { records }, JSON2);
    assert.equal(got.status, 200);
    await pause(keep + 30 * Math.random());
  }
}

// consume reads so many bytes at a time. Few of them, and the group falls behind.
async function consume(group, topics, every, bytes = 20_000) {
  const { json: { instance_id: id } } = await api('POST', `/consumers/${encodeURIComponent(group)}`, { format: 'json', 'auto.offset.reset': 'earliest' }, V2);
  const instance = `/consumers/${encodeURIComponent(group)}/instances/${id}`;
  await api('POST', `${instance}/subscription`, { topics }, V2);
  while (load.on) {
    await api('GET', `${instance}/records?max_bytes=${bytes}`, undefined, { Accept: JSON2['Content-Type'] });
    await pause(every);
  }
}

async function err() {
  while (load.on) {
    await api('GET', '/topics/nowhere/partitions');
    await api('POST', '/topics/orders', { record: [] }, JSON2);
    await pause(2000);
  }
}

async function namesAreText(page) {
  step('names from outside are text');
  const group = await api('POST', `/consumers/${encodeURIComponent(EVIL)}`, { name: EVIL, format: 'json' }, V2);
  assert.equal(group.status, 200);
  await until('the odd group', async () => assert.equal(await row(page, 'groups-table', EVIL).count(), 1));
  assert.equal(await page.locator('main img').count(), 0);
  assert.equal((await api('DELETE', `/consumers/${encodeURIComponent(EVIL)}/instances/${encodeURIComponent(EVIL)}`)).status, 204);
  await until('its end', async () => assert.equal(await row(page, 'groups-table', EVIL).count(), 0));
}

const browser = await launch();
try {
  await Promise.all(['orders', 'sensors', 'clicks'].map((topic) => api('POST', `/topics/${topic}`, { records: [{ value: {} }] }, JSON2)));
  const running = [produce('orders', 40), produce('sensors', 60), produce('clicks', 90), consume('readers', ['orders', 'sensors'], 300),
    consume('archive', ['clicks'], 1500), consume('laggards', ['clicks'], 500, 300), err()];

  const main = await open(browser, looks.light);
  await figuresMove(main.page);
  await onlyServerErrorsAlarm(main.page);
  await namesAreText(main.page);
  await produceFormWorks(main.page);
  await tailShowsRecords(main.page);
  await tailIsExact(main.page);
  await tailKeepsUp(main.page);
  await tailFindsTheFormat(main.page);
  await answersAreCleared(main.page);
  await errorsHaveSamples(main.page);
  await consumeFormWorks(main.page);
  await topicsOpen(main.page);
  await chartsHaveKeys(main.page);
  await tablesKeepFocus(main.page);
  await isAccessible(main.page, 'all that was opened');
  const fresh = await open(browser, looks.light);
  await keyboardWorks(fresh.page);
  await everythingHasFocus(fresh.page);
  assert.deepEqual(fresh.faults, []);
  await fresh.context.close();
  for (const [name, options] of Object.entries(looks)) {
    const { context, page, faults } = await open(browser, options);
    await layoutHolds(page, name);
    await isAccessible(page, name);
    assert.deepEqual(faults, []);
    await context.close();
  }
  await manyTopicsAreFound(main.page);
  await manyInstancesAreFound(main.page);
  await figuresAreTrue(main.page, async () => {
    load.on = false;
    await Promise.all(running);
  });
  assert.deepEqual(main.faults, []);
  step('all is well');
} finally {
  load.on = false;
  await browser.close();
}
