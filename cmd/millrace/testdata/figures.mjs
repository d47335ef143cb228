// What dashboard.mjs checks of figures, tables and their layout.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { api, cell, cellText, JSON2, metric, row, seconds, series, shownNumber, step, text, until, url, V2 } from './page.mjs';

const chart = (page, title) => page.locator('#charts .card').filter({ has: page.getByRole('heading', { name: title }) });

export async function figuresMove(page) {
  step('figures move');
  await page.locator('#topics-filter').fill('ord');
  await until('the filter', async () => assert.equal(await page.locator('#topics-table > tbody > tr:visible').count(), 1));
  await page.locator('#topics-filter').fill('');
  const path = () => chart(page, 'Requests').first().locator('path.line').getAttribute('d');
  const first = await shownNumber(page, '#fact-recordsIn');
  const line = await path();
  await until('the records to grow', async () => assert.ok(await shownNumber(page, '#fact-recordsIn') > first));
  await until('the line of the chart to move', async () => assert.notEqual(await path(), line));
  await until('rates of the topic', async () => assert.ok(await cell(page, 'topics-table', 'orders', 3) > 0));
  await until('the group', async () => assert.equal(await cell(page, 'groups-table', 'readers', 1), 1));
  await until('the errors', async () => assert.ok((await text(page, '#recent-table tbody')).includes('Create the topic')));
  assert.equal(await text(page, '#fact-kafka'), 'reachable');
  assert.match(await text(page, '#config-table'), /bootstrap\.servers/);
  assert.match(await text(page, '#topics-note'), /^\d+ topics with \d+ partitions$/);
}

// Mistakes of clients are counted and stay quiet; faults of the node do not.
export async function onlyServerErrorsAlarm(page) {
  step('only server errors alarm');
  await until('failed requests of clients', async () => assert.ok(await cell(page, 'routes-table', 'POST /topics/{topic}', 7) > 0));
  assert.equal(await cell(page, 'routes-table', 'POST /topics/{topic}', 8), 0);
  assert.equal(await page.locator('main .bad').count(), 0, `it alarms: ${await page.locator('main .bad').allInnerTexts()}`);
  // A snapshot of the node's, with a fault of its own, shown as the page does.
  const alarmed = await page.evaluate(async () => {
    const { show } = await import('/ui/panels.js');
    const source = new EventSource('ui/events');
    const snapshot = await new Promise((done) => { source.addEventListener('snapshot', (e) => done(JSON.parse(e.data))); });
    source.close();
    const name = 'brokers_unreachable';
    snapshot.errors.push({ name, requests: 1, records: 1, rate: 0, record_rate: 1 });
    snapshot.recent.push({ name, where: 'here', count: 1, last: snapshot.at });
    snapshot.routes[0].broken = snapshot.routes[0].failed = 1;
    show(snapshot);
    return [...document.querySelectorAll('main .bad')].map((e) => e.id || e.closest('table').id);
  });
  assert.deepEqual(alarmed, ['fact-failing', 'recent-table', 'codes-table', 'routes-table']);
}

export async function topicsOpen(page) {
  step('a topic opens to its partitions');
  const open = row(page, 'topics-table', 'orders').getByRole('button', { name: 'orders', exact: true });
  await open.click();
  assert.equal(await open.getAttribute('aria-expanded'), 'true');
  const lines = page.locator('.partitions tbody tr');
  await until('the offsets', async () => {
    assert.equal(await lines.count(), 3);
    for (let n = 0; n < 3; n++) {
      const [partition, leader, replicas, synced, first, next, records] = await lines.nth(n).locator('th, td').allInnerTexts();
      assert.deepEqual([partition, leader, replicas, synced, first], [`${n}`, 'broker 0', 'broker 0', 'broker 0', '0']);
      assert.ok(Number(next) > 0 && next === records, `partition ${n} ends at ${next} with ${records}`);
    }
  });
  const before = await lines.first().locator('td').nth(4).innerText();
  await until('offsets that grow', async () => assert.notEqual(await lines.first().locator('td').nth(4).innerText(), before));
  await open.click();
  assert.equal(await lines.count(), 0);
}

// The snapshots have a hundred topics; a page can find any.
export async function manyTopicsAreFound(page) {
  step('every one of many topics is found');
  const names = Array.from({ length: 120 }, (_, n) => `many-${String(n).padStart(3, '0')}`);
  for (const name of names) assert.equal((await api('POST', `/topics/${name}`, { records: [{ value: 1 }] }, JSON2)).status, 200);
  await until('more topics than are listed', async () => assert.match(await text(page, '#topics-note'), /the busiest first/));
  const listed = await page.locator('#topics-table > tbody > tr > th').allInnerTexts();
  const quiet = names.find((name) => !listed.includes(name));
  await page.locator('#topics-filter').fill(quiet.toUpperCase());
  await until(quiet, async () => assert.equal(await row(page, 'topics-table', quiet).count(), 1));
  assert.equal(await page.locator('#topics-table > tbody > tr:visible').count(), 1);
  assert.equal(await cell(page, 'topics-table', quiet, 1), 3, 'a row that was searched for has no figures');
  await row(page, 'topics-table', quiet).getByRole('button', { name: quiet, exact: true }).click();
  await until('its partitions', async () => assert.equal(await page.locator('.partitions tbody tr').count(), 3));
  await page.locator('#topics-filter').fill('');
  await page.locator('#tail-form [name=topic]').fill(quiet);
  await until('the suggestion', async () => assert.equal(await page.locator(`#topic-names option[value="${quiet}"]`).count(), 1));
  await page.locator('#tail-form [name=topic]').fill('');
}

// Within one second and the next things change, so that some figures agree only
// in the end, when all is at rest.
export async function figuresAreTrue(page, rest) {
  step('latency and compression agree with /metrics');
  await latencyAgrees(page);
  for (const title of ['Produce latency', 'Consume latency', 'Age of records read']) {
    await until(title, async () => assert.ok(seconds(await chart(page, title).locator('b').first().innerText()) > 0));
  }
  assert.ok(await shownNumber(page, '#charts .card:last-child b') > 1, 'nothing is compressed');
  step('figures agree with /metrics');
  await rest();
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
  await until('the compression ratio to agree', async () => {
    const ratio = await metric('millrace_compression_input_bytes_total', 'zstd') / await metric('millrace_compression_output_bytes_total', 'zstd');
    assert.equal(await cell(page, 'codecs-table', 'zstd', 2), Number(ratio.toFixed(2)));
  });
  await consumersAreTrue(page);
  const brokers = await api('GET', '/brokers');
  assert.deepEqual(await page.locator('#brokers-table tbody th').allInnerTexts(), brokers.json.brokers.map(String));
  const partitions = Number((await text(page, '#topics-note')).match(/with ([\d,]+) partitions/)[1].replaceAll(',', ''));
  await until('the broker to lead all partitions', async () => assert.equal(await cell(page, 'brokers-table', '0', 4), partitions));
}

// latencyAgrees compares with the histogram's buckets of about the same ten
// seconds: the median that is shown lies about where half of the requests are.
async function latencyAgrees(page) {
  const buckets = () => series('millrace_http_request_duration_seconds_bucket', 'method="POST"', 'route="/topics/{topic}"');
  await until('the latency to agree', async () => {
    const before = await buckets();
    await pause(9000);
    const after = (await buckets()).map(({ labels, value }, n) => ({
      limit: Number(labels.match(/le="([^"]+)"/)[1].replace('+Inf', 'Infinity')), count: value - before[n].value,
    }));
    const all = after.at(-1).count;
    assert.ok(all > 50, `only ${all} requests`);
    for (const [column, share] of [[2, 0.5], [3, 0.99]]) {
      const shown = seconds(await cellText(page, 'routes-table', 'POST /topics/{topic}', column));
      const below = after.filter((b) => b.limit <= shown * 0.9).at(-1)?.count ?? 0;
      const upTo = after.find((b) => b.limit >= shown * 1.1).count;
      assert.ok(below / all <= share + 0.1 && upTo / all >= share - 0.1,
        `${shown} s is shown for ${share}, but of ${all} requests ${below} were well below and ${upTo} not well above`);
    }
  });
}

// consumersAreTrue looks at a group that could not keep up, after the load.
async function consumersAreTrue(page) {
  const line = page.locator('#instances-table tbody tr').filter({ hasText: 'laggards' });
  await until('the lag of the instance', async () => {
    const [name, , format, reads, partitions, lag] = await line.locator('th, td').allInnerTexts();
    assert.match(name, /^rest-consumer-/);
    assert.deepEqual([format, reads, partitions], ['json', 'clicks', '3']);
    const of = await cell(page, 'groups-table', 'laggards', 3);
    assert.ok(of > 0, 'a group that cannot keep up is not behind');
    assert.equal(Number(lag.replaceAll(',', '')), of);
    assert.equal(await metric('millrace_consumer_lag_records', 'group="laggards"'), of);
  });
}

export async function layoutHolds(page, name) {
  step(`the layout holds, ${name}`);
  await until('points from before the page', async () =>
    assert.ok((await page.locator('#charts path.line').first().getAttribute('d')).split('L').length > 10));
  await until('all tables', async () => assert.ok(await cell(page, 'groups-table', 'readers', 1) > 0));
  const { wide, window, heights, cut, plots, topics } = await page.evaluate(() => ({
    wide: document.scrollingElement.scrollWidth, window: { width: innerWidth, height: innerHeight },
    heights: [...document.querySelectorAll('#charts .plot')].map((e) => e.clientHeight),
    plots: [...document.querySelectorAll('#charts .plot')].map((e) => Math.round(e.getBoundingClientRect().top)),
    topics: document.querySelector('#topics').getBoundingClientRect().top,
    cut: [...document.querySelectorAll('#consumers .scroll')].filter((e) => e.scrollWidth > e.clientWidth).length,
  }));
  assert.ok(wide <= window.width, `${name}: ${wide} pixels in a window of ${window.width}`);
  assert.equal(new Set(heights).size, 1, `charts of the heights ${heights}`);
  assert.equal(new Set(plots).size, name === 'phone' ? 4 : 2, `charts at ${plots}`);
  assert.ok(topics < window.height * 1.2, `${name}: topics begin at ${topics}`);
  if (name !== 'phone') assert.equal(cut, 0, 'a table of consumers is cut');
}

// Errors say where, to whom and what; a page of another origin is among them.
export async function errorsHaveSamples(page) {
  step('errors have a sample');
  const refused = await fetch(`${url}/topics/orders`, { method: 'POST', body: '{}', headers: { Origin: 'https://other.example', 'Sec-Fetch-Site': 'cross-site' } });
  assert.equal(refused.status, 403);
  await until('the refused origin', async () => {
    const shown = await text(page, '#recent-table tbody');
    assert.match(shown, /127\.0\.0\.1, a page of https:\/\/other\.example/);
    assert.match(shown, /access\.control\.allow\.origin/);
  });
  const line = page.locator('#recent-table tbody tr').filter({ hasText: 'topic_not_found' }).first();
  assert.deepEqual((await line.locator('th, td').allInnerTexts()).slice(5, 7), ['nowhere', '127.0.0.1']);
  const part = await api('POST', '/topics/orders', { records: [{ value: 1 }, { value: 2, partition: 99 }] }, JSON2);
  assert.equal(part.status, 200);
  await fetch(`${url}/topics/orders`, { method: 'OPTIONS', headers: { Origin: 'https://third.example', 'Access-Control-Request-Method': 'PUT' } });
  const sample = (words) => page.locator('#recent-table tbody tr').filter({ hasText: words }).first().locator('th, td').allInnerTexts();
  await until('the single record', async () => assert.deepEqual((await sample('single records')).slice(5, 7), ['orders', '127.0.0.1']));
  await until('the preflight', async () => assert.match((await sample('third.example'))[7], /may not use PUT \/topics\/orders/));
}

// Of more instances than a page has, each is found, and the pages have all.
export async function manyInstancesAreFound(page) {
  step('every one of many instances is found');
  const many = 130;
  for (let n = 0; n < many; n++) {
    assert.equal((await api('POST', '/consumers/crowd', { name: `i-${String(n).padStart(3, '0')}`, format: 'json' }, V2)).status, 200);
  }
  const rows = page.locator('#instances-table > tbody > tr:visible');
  const pages = page.locator('#instances-pages');
  await until('the pages', async () => assert.match(await pages.innerText(), /1 to 100 of 1[3-9]\d/));
  const first = await page.locator('#instances-table > tbody > tr > th').allInnerTexts();
  await pages.getByRole('button', { name: 'After' }).click();
  await until('the second page', async () => assert.match(await pages.innerText(), /101 to 1[3-9]\d of 1[3-9]\d/));
  const second = await page.locator('#instances-table > tbody > tr > th').allInnerTexts();
  for (let n = 0; n < many; n++) {
    const name = `i-${String(n).padStart(3, '0')}`;
    assert.ok(first.includes(name) || second.includes(name), `${name} is on no page`);
  }
  await page.locator('#instances-filter').fill('I-129');
  await until('the instance', async () => assert.deepEqual(await page.locator('#instances-table > tbody > tr > th').allInnerTexts(), ['i-129']));
  assert.equal(await rows.count(), 1);
  await page.locator('#instances-filter').fill('');
  for (let n = 0; n < many; n++) await api('DELETE', `/consumers/crowd/instances/i-${String(n).padStart(3, '0')}`);
}
