// Drives the dashboard in Chromium under a light load of its own and checks what
// an operator would see. It prints what it found and exits with 1 at the first
// thing that is wrong. Run by TestDashboard (make browser):
//
//	node dashboard.mjs URL CHROMIUM [DIRECTORY OF SCREENSHOTS]

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const [url, executablePath, screenshots] = process.argv.slice(2);
const JSON2 = { 'Content-Type': 'application/vnd.kafka.json.v2+json' };
const V2 = { 'Content-Type': 'application/vnd.kafka.v2+json' };
const EVIL = '<img src=x onerror=alert(1)>';
const PATIENCE = 20_000; // ms

const step = (what) => console.log(`-- ${what}`);

// until polls a condition, which is true when it returns without a throw.
async function until(what, check) {
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

async function api(method, path, body, headers) {
  const response = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, json: text && JSON.parse(text) };
}

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

async function consume(group, topics, every) {
  const { json: { instance_id: id } } = await api('POST', `/consumers/${encodeURIComponent(group)}`, { format: 'json', 'auto.offset.reset': 'earliest' }, V2);
  const instance = `/consumers/${encodeURIComponent(group)}/instances/${id}`;
  await api('POST', `${instance}/subscription`, { topics }, V2);
  while (load.on) {
    await api('GET', `${instance}/records?max_bytes=20000`, undefined, { Accept: JSON2['Content-Type'] });
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

// metric sums the series of a metric whose labels hold all of the texts.
async function metric(name, ...labels) {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text.split('\n')
    .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });

// open shows the dashboard in a window of its own, and gathers what must not be.
async function open(options) {
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

const text = (page, selector) => page.locator(selector).first().innerText();
const shownNumber = async (page, selector) => Number((await text(page, selector)).replaceAll(',', ''));
const row = (page, table, key) => page.locator(`#${table} tbody tr`).filter({ has: page.getByRole('rowheader', { name: key, exact: true }) });
const cell = async (page, table, key, n) => Number((await row(page, table, key).locator('th, td').nth(n).innerText()).replaceAll(',', ''));

async function figuresMove(page) {
  step('figures move');
  await page.locator('#topics-filter').fill('ord');
  await until('the filter', async () => assert.equal(await page.locator('#topics-table tbody tr:visible').count(), 1));
  await page.locator('#topics-filter').fill('');
  const path = () => page.locator('#charts path.line0').first().getAttribute('d');
  const first = await shownNumber(page, '#fact-recordsIn');
  const line = await path();
  await until('the records to grow', async () => assert.ok(await shownNumber(page, '#fact-recordsIn') > first));
  assert.notEqual(await path(), line, 'the line of the chart stands still');
  await until('rates of the topic', async () => assert.ok(await cell(page, 'topics-table', 'orders', 3) > 0));
  await until('the group', async () => assert.equal(await cell(page, 'groups-table', 'readers', 1), 1));
  await until('the errors', async () => assert.ok((await text(page, '#recent-table tbody')).includes('Create the topic')));
  assert.equal(await text(page, '#fact-kafka'), 'reachable');
  assert.match(await text(page, '#config-table'), /bootstrap\.servers/);
  const label = await page.locator('#charts svg').first().getAttribute('aria-label');
  assert.match(label, /^Requests.*answered: now .* highest /, 'the chart has no text');
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

async function tailShowsRecords(page) {
  step('the tail shows new records');
  await row(page, 'topics-table', 'orders').getByRole('button').click();
  const newest = async () => JSON.parse(await page.locator('#tail-table tbody tr td:last-child').first().innerText()).sequence;
  const first = await until('a record', newest);
  await until('newer records', async () => assert.ok(await newest() > first + 5));
  await page.getByRole('button', { name: 'Stop' }).click();
  assert.match(await text(page, '#tail-form output'), /^Stopped after \d+ records$/);
  const stopped = await newest();
  await pause(500);
  assert.equal(await newest(), stopped, 'the tail goes on after its end');
  await page.locator('#tail-form [name=topic]').fill('tried-avro');
  await page.locator('#tail-form [name=format]').selectOption('avro');
  await page.locator('#tail-form [name=from]').selectOption('beginning');
  await page.getByRole('button', { name: 'Start' }).click();
  await until('the Avro record', async () => assert.match(await text(page, '#tail-table tbody'), /"celsius":1.5/));
  await page.getByRole('button', { name: 'Stop' }).click();
}

async function produceFormWorks(page) {
  step('the produce form works, and its curl');
  const form = page.locator('#produce');
  const sendOne = async (fields) => {
    for (const [name, value] of Object.entries(fields)) {
      if (name === 'format') await form.locator('[name=format]').selectOption(value);
      else await form.locator(`[name=${name}]`).fill(value);
    }
    await form.getByRole('button', { name: 'Send' }).click();
    await until('the answer', async () => assert.match(await text(page, '#produce output'), /^200 OK in \d+ ms$/));
    assert.match(await form.locator('[data-answer]').innerText(), /"error_code": null/);
    const command = await form.locator('[data-curl]').innerText();
    const answer = JSON.parse(execFileSync('sh', ['-c', command.replace('curl', 'curl -sS')], { encoding: 'utf8' }));
    assert.equal(answer.offsets[0].error_code, null, `${command}: ${JSON.stringify(answer)}`);
  };
  await sendOne({ topic: 'tried', format: 'json', key: '"it\'s"', value: '{"n": 12345678901234567890, "t": "Grüße $HOME"}' });
  await sendOne({ topic: 'tried-binary', format: 'binary', key: '', value: 'Grüße\n' });
  await form.locator('[name=format]').selectOption('json');
  await form.locator('[name=value]').fill('{not JSON');
  await form.getByRole('button', { name: 'Send' }).click();
  await until('the refusal', async () => assert.match(await text(page, '#produce output'), /^The value is not JSON/));
  for (const format of ['avro', 'jsonschema', 'protobuf']) {
    await sendOne({ topic: `tried-${format}`, format, key: '', value: '{"sensor": "a", "celsius": 1.5}' });
    assert.ok(await form.locator('[name=value_schema]').isVisible());
  }
}

async function consumeFormWorks(page) {
  step('the consume form works');
  const form = page.locator('#consume');
  const answer = () => form.locator('[data-answer]').innerText();
  const group = await form.locator('[name=group]').inputValue();
  await form.locator('[name=topic]').fill('tried');
  await form.getByRole('button', { name: 'Create and subscribe' }).click();
  await until('the subscription', async () => assert.match(await text(page, '#consume output'), /^204 /));
  await until('the instance in the table', async () => assert.equal(await row(page, 'groups-table', group).count(), 1));
  let read = [];
  await until('the two records', async () => {
    await form.getByRole('button', { name: 'Poll' }).click();
    await until('an answer', async () => assert.ok(await form.getByRole('button', { name: 'Poll' }).isEnabled()));
    read = read.concat(JSON.parse(await answer()));
    assert.equal(read.length, 2);
  });
  assert.equal(read[0].key, 'it\'s');
  assert.deepEqual(read[0].value.t, 'Grüße $HOME');
  await form.getByRole('button', { name: 'Delete' }).click();
  await until('the end', async () => assert.match(await text(page, '#consume output'), /^204 /));
  await until('no instance in the table', async () => assert.equal(await row(page, 'groups-table', group).count(), 0));
}

async function keyboardWorks(page) {
  step('the keyboard is enough');
  await page.keyboard.press('Tab');
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.id);
  assert.equal(await focused(), 'Skip to the figures');
  for (let n = 0; await focused() !== 'Pause'; n++) {
    assert.ok(n < 5, 'Pause cannot be reached');
    await page.keyboard.press('Tab');
  }
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none', 'the focus cannot be seen');
  await page.keyboard.press('Enter');
  await until('the pause', async () => assert.equal(await text(page, '#status'), 'paused'));
  const still = await text(page, '#fact-recordsIn');
  await pause(2500);
  assert.equal(await text(page, '#fact-recordsIn'), still, 'paused figures move');
  await page.keyboard.press('Space');
  await until('figures that go on', async () => assert.notEqual(await text(page, '#fact-recordsIn'), still));
  await page.keyboard.press('Tab');
  const color = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await color();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  assert.equal(await text(page, '#theme'), 'Theme: dark');
  assert.notEqual(await color(), light, 'dark is as light as light');
  await page.keyboard.press('Enter');
  assert.equal(await text(page, '#theme'), 'Theme: system');
}

async function agreesWithMetrics(page) {
  step('figures agree with /metrics');
  const agree = (what, shown, ...of) => until(`${what} to agree`, async () => {
    const counted = await metric(...of);
    assert.ok(counted > 0, `${what}: /metrics has none`);
    assert.equal(await shown(), counted);
  });
  await agree('records in', () => shownNumber(page, '#fact-recordsIn'), 'millrace_produce_records_total');
  await agree('records out', () => shownNumber(page, '#fact-recordsOut'), 'millrace_consume_records_total');
  for (const topic of ['orders', 'sensors', 'clicks']) {
    await agree(topic, () => cell(page, 'topics-table', topic, 7), 'millrace_topic_produced_records_total', `topic="${topic}"`);
  }
  await agree('produce requests', () => cell(page, 'routes-table', 'POST /topics/{topic}', 6), 'millrace_http_requests_total', 'method="POST"', 'route="/topics/{topic}"');
  await agree('an error', () => cell(page, 'codes-table', 'topic_not_found', 3), 'millrace_http_errors_total', 'error="topic_not_found"');
}

async function isAccessible(page, how) {
  step(`axe-core, ${how}`);
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  for (const v of violations) console.log(`   ${v.impact}: ${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(' ')).join('; ')}`);
  assert.ok(passes.length > 20, `only ${passes.length} rules were applied`);
  assert.deepEqual(violations.map((v) => v.id), []);
}

const looks = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: 'light', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, reducedMotion: 'reduce', isMobile: true, hasTouch: true },
};

try {
  await Promise.all(['orders', 'sensors', 'clicks'].map((topic) => api('POST', `/topics/${topic}`, { records: [{ value: {} }] }, JSON2)));
  const running = [produce('orders', 40), produce('sensors', 60), produce('clicks', 90), consume('readers', ['orders', 'sensors'], 300), consume('archive', ['clicks'], 1500), err()];
  if (screenshots) await pause(150_000); // so that there is something to see in the charts

  const main = await open(looks.light);
  await figuresMove(main.page);
  await namesAreText(main.page);
  await produceFormWorks(main.page);
  await tailShowsRecords(main.page);
  await consumeFormWorks(main.page);
  const fresh = await open(looks.light);
  await keyboardWorks(fresh.page);
  assert.deepEqual(fresh.faults, []);
  await fresh.context.close();
  await isAccessible(main.page, 'all that was opened');
  for (const [name, options] of Object.entries(looks)) {
    const { context, page, faults } = await open(options);
    await until('points from before the page', async () =>
      assert.ok((await page.locator('#charts path.line0').first().getAttribute('d')).split('L').length > 10));
    await until('all tables', async () => assert.ok(await cell(page, 'groups-table', 'readers', 1) > 0));
    await isAccessible(page, name);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= options.viewport.width, `${name} is ${width} wide`);
    if (screenshots) await page.screenshot({ path: `${screenshots}/dashboard-${name}.png` });
    assert.deepEqual(faults, []);
    await context.close();
  }
  load.on = false;
  await Promise.all(running);
  await agreesWithMetrics(main.page);
  assert.deepEqual(main.faults, []);
  step('all is well');
} finally {
  load.on = false;
  await browser.close();
}
