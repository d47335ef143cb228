// What dashboard.mjs checks of the try-it forms and of the tail.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { api, JSON2, row, step, text, until } from './page.mjs';

const EXACT = '{"n": 12345678901234567890, "one": 1.0, "big": 1E400, "t": "Grüße $HOME"}';
const NUMBERS = ['12345678901234567890', '1.0', '1E400'];

async function send(page, fields) {
  const form = page.locator('#produce');
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'format') await form.locator('[name=format]').selectOption(value);
    else await form.locator(`[name=${name}]`).fill(value);
  }
  await form.getByRole('button', { name: 'Send' }).click();
  await until('the answer', async () => assert.match(await text(page, '#produce output'), /^200 OK in \d+ ms$/));
  assert.match(await form.locator('[data-answer]').innerText(), /"error_code": null/);
}

export async function produceFormWorks(page) {
  step('the produce form works, and its curl');
  const form = page.locator('#produce');
  const sendTwice = async (fields) => {
    await send(page, fields);
    const command = await form.locator('[data-curl]').innerText();
    const answer = JSON.parse(execFileSync('sh', ['-c', command.replace('curl', 'curl -sS')], { encoding: 'utf8' }));
    assert.equal(answer.offsets[0].error_code, null, `${command}: ${JSON.stringify(answer)}`);
  };
  await sendTwice({ topic: 'tried', format: 'json', key: '"it\'s"', value: EXACT });
  await sendTwice({ topic: 'tried-binary', format: 'binary', key: '', value: 'Grüße\n' });
  await send(page, { topic: 'tried-large', format: 'binary', key: '', value: 'large '.repeat(50_000) });
  await form.locator('[name=format]').selectOption('json');
  await form.locator('[name=value]').fill('{not JSON');
  await form.getByRole('button', { name: 'Send' }).click();
  await until('the refusal', async () => assert.match(await text(page, '#produce output'), /^The value is not JSON/));
  for (const format of ['avro', 'jsonschema', 'protobuf']) {
    await sendTwice({ topic: `tried-${format}`, format, key: '', value: '{"sensor": "a", "celsius": 1.5}' });
    assert.ok(await form.locator('[name=value_schema]').isVisible());
  }
}

export async function consumeFormWorks(page) {
  step('the consume form works');
  const form = page.locator('#consume');
  const answer = () => form.locator('[data-answer]').innerText();
  const group = await form.locator('[name=group]').inputValue();
  await form.locator('[name=topic]').fill('tried');
  await form.getByRole('button', { name: 'Create and subscribe' }).click();
  await until('the subscription', async () => assert.match(await text(page, '#consume output'), /^204 /));
  await until('the instance in the table', async () => assert.equal(await row(page, 'groups-table', group).count(), 1));
  let read = [];
  let shown = '';
  await until('the two records', async () => {
    await form.getByRole('button', { name: 'Poll' }).click();
    await until('an answer', async () => assert.ok(await form.getByRole('button', { name: 'Poll' }).isEnabled()));
    const more = await answer();
    shown += more;
    read = read.concat(JSON.parse(more));
    assert.equal(read.length, 2);
  });
  for (const number of NUMBERS) assert.equal(shown.split(`: ${number},`).length - 1, 2, `${number} is shown as in ${shown}`);
  assert.equal(read[0].key, 'it\'s');
  assert.deepEqual(read[0].value.t, 'Grüße $HOME');
  await form.getByRole('button', { name: 'Delete' }).click();
  await until('the end', async () => assert.match(await text(page, '#consume output'), /^204 /));
  await until('no instance in the table', async () => assert.equal(await row(page, 'groups-table', group).count(), 0));
}

async function startTail(page, topic, format, from) {
  await page.locator('#tail-form [name=topic]').fill(topic);
  await page.locator('#tail-form [name=format]').selectOption(format);
  await page.locator('#tail-form [name=from]').selectOption(from);
  await page.getByRole('button', { name: 'Start' }).click();
}

const stopTail = (page) => page.getByRole('button', { name: 'Stop' }).click();
const tailRows = (page) => page.locator('#tail-table tbody tr');
const VALUE = 4; // its column

export async function tailShowsRecords(page) {
  step('the tail shows new records');
  await row(page, 'topics-table', 'orders').getByRole('button', { name: 'Tail' }).click();
  const newest = async () => JSON.parse(await tailRows(page).first().locator('th, td').nth(VALUE).innerText()).sequence;
  const first = await until('a record', newest);
  await until('newer records', async () => assert.ok(await newest() > first + 5));
  await stopTail(page);
  assert.match(await text(page, '#tail-form output'), /^Stopped after \d+ records$/);
  await pause(500); // what came before the end may still be drawn
  const stopped = await newest();
  await pause(500);
  assert.equal(await newest(), stopped, 'the tail goes on after its end');
  await startTail(page, 'tried-avro', 'avro', 'beginning');
  await until('the Avro record', async () => assert.match(await text(page, '#tail-table tbody'), /"celsius":1.5/));
  await stopTail(page);
}

export async function tailIsExact(page) {
  step('the tail shows records as they are');
  await startTail(page, 'tried', 'json', 'beginning');
  await until('the exact numbers', async () => {
    const shown = await text(page, '#tail-table tbody');
    for (const number of NUMBERS) assert.ok(shown.includes(number), `${number} is shown as in ${shown}`);
  });
  await stopTail(page);
  const sent = '{"records": [{"key": "5", "value": 5, "partition": 0, "timestamp": 1700000000123, "headers": [{"key": "trace", "value": "R3LDvMOfZQ=="}]}, {"key": 5, "value": "5", "partition": 0}, {"value": null, "partition": 0}]}';
  assert.equal((await api('POST', '/topics/typed', sent, JSON2)).status, 200);
  await startTail(page, 'typed', 'json', 'beginning');
  await until('three records', async () => assert.equal(await tailRows(page).count(), 3));
  const shown = [];
  for (let n = 2; n >= 0; n--) shown.push(await tailRows(page).nth(n).locator('th, td').allInnerTexts());
  assert.deepEqual(shown[0], ['0', '0', '2023-11-14 22:13:20.123', '"5"', '5', 'trace: Grüße']);
  assert.deepEqual([shown[1][3], shown[1][4], shown[1][5]], ['5', '"5"', '–']);
  assert.deepEqual([shown[2][3], shown[2][4]], ['null', 'null']);
  await stopTail(page);
}

// A topic that is faster than the page costs it one drawing a frame, however
// many records come.
export async function tailKeepsUp(page) {
  step('the tail keeps up');
  const many = 20_000;
  const records = Array.from({ length: 1000 }, () => ({ value: 1, partition: 0 }));
  for (let n = 0; n < many; n += records.length) assert.equal((await api('POST', '/topics/burst', { records }, JSON2)).status, 200);
  await page.evaluate(() => {
    window.drawings = 0;
    window.began = performance.now();
    new MutationObserver(() => window.drawings++).observe(document.querySelector('#tail-table tbody'), { childList: true });
  });
  await startTail(page, 'burst', 'json', 'beginning');
  await until('the last record', async () => assert.equal(await tailRows(page).first().locator('th').innerText(), String(many - 1)));
  const { drawings, frames } = await page.evaluate(() => ({ drawings: window.drawings, frames: (performance.now() - window.began) / 100 }));
  assert.ok(drawings <= frames + 3, `${drawings} drawings in ${Math.round(frames)} tenths of a second`);
  assert.equal(await tailRows(page).count(), 200);
  assert.equal(await tailRows(page).last().locator('th').innerText(), String(many - 200));
  assert.match(await text(page, '#tail-form output'), /20,000 records/);
  await stopTail(page);
}

// A topic's format is found out, with the reason; one that was chosen and is wrong is told, and not
// asked for again and again.
export async function tailFindsTheFormat(page) {
  step('the tail finds the format');
  for (const [topic, shown, reason] of [['tried-avro', 'Avro', 'JSON \\('], ['tried-protobuf', 'Protobuf', 'JSON Schema \\('], ['tried-binary', 'binary', 'Protobuf \\('], ['tried', 'JSON', '']]) {
    await startTail(page, topic, '', 'beginning');
    await until(`${topic} as ${shown}`, async () => {
      assert.match(await text(page, '#tail-form output'), new RegExp(`^Reading ${topic} as ${shown}${reason && `, not as ${reason}.*\\)`}: [1-9]\\d* records$`));
    });
    await stopTail(page);
  }
  let asked = 0;
  const count = (request) => { if (request.url().includes('/topics/tried-binary/stream')) asked++; };
  page.on('request', count);
  await startTail(page, 'tried-binary', 'json', 'beginning');
  await until('the reason', async () => assert.match(await text(page, '#tail-form output'), /^tried-binary is not shown as JSON: .+/));
  await pause(2500); // a browser would have connected again by now
  assert.equal(asked, 1, `the page asked ${asked} times`);
  assert.ok(await page.getByRole('button', { name: 'Start' }).isEnabled());
  page.off('request', count);
}

// The answer of the request before does not stay under the words about the next.
export async function answersAreCleared(page) {
  step('an answer is of the request above it');
  const form = page.locator('#produce');
  await form.locator('[name=topic]').fill('tried-answers');
  await form.locator('[name=format]').selectOption('json');
  await form.locator('[name=value]').fill('{"a": 1}');
  await form.getByRole('button', { name: 'Send' }).click();
  await until('the answer', async () => assert.match(await form.locator('[data-answer]').innerText(), /offsets/));
  await form.locator('[name=value]').fill('{not JSON');
  await until('the refusal', async () => assert.match(await text(page, '#produce output'), /^The value is not JSON/));
  assert.equal(await form.locator('[data-answer]').innerText(), '–');
}
