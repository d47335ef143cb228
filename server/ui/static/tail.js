// The tail: records of one topic as they come. A topic can be faster than any
// page, so records are kept as text, and only the last ones are drawn, at
// most once a frame.

import { byId, el, text } from './dom.js';
import { count } from './format.js';
import { members } from './json.js';

const ROWS = 200;
const PAUSE = 100; // ms between two drawings: as fast as a person reads
const LONGEST = 2000; // characters that are shown of a key, a value or a header

const utf8 = new TextDecoder('utf-8', { fatal: true });
const form = byId('tail-form');
const rows = byId('tail-table').tBodies[0];
let source = null;
let reading = ''; // what is said of the stream
let seen = 0;
let waiting = []; // records that are not drawn yet, as JSON
let drawing = false;
let drawn = 0; // when

const none = rows.firstElementChild;
const say = (words) => text(form.elements.said, words);

function stop(words) {
  source?.close();
  source = null;
  form.elements.start.disabled = false;
  form.elements.stop.disabled = true;
  if (words !== undefined) say(words);
}

function add(record) {
  seen++;
  waiting.push(record);
  if (waiting.length > 2 * ROWS) waiting = waiting.slice(-ROWS);
  if (drawing) return;
  drawing = true;
  const soon = Math.max(0, drawn + PAUSE - performance.now());
  setTimeout(() => requestAnimationFrame(draw), soon);
}

function draw() {
  drawing = false;
  drawn = performance.now();
  const fresh = waiting.slice(-ROWS).map(row).reverse();
  waiting = [];
  if (fresh.length === 0) return;
  none.remove();
  rows.prepend(...fresh);
  while (rows.rows.length > ROWS) rows.lastElementChild.remove();
  if (source) say(`${reading}: ${count(seen)} records`);
}

// row shows a record's members as the JSON that they are: "5" is not 5, and no
// number changes.
function row(json) {
  const record = members(json);
  return el('tr', {},
    el('td', { class: 'n' }, record.partition),
    el('th', { scope: 'row', class: 'n' }, record.offset),
    el('td', { class: 'code when' }, time(record.timestamp)),
    code(record.key), code(record.value), headers(record.headers));
}

function time(timestamp) {
  const at = new Date(Number(timestamp));
  return Number.isNaN(at.getTime()) ? '–' : at.toISOString().replace('T', ' ').replace('Z', '');
}

const shortened = (json) => (json.length <= LONGEST ? json : `${json.slice(0, LONGEST)}… (${count(json.length)} characters)`);

function code(json = 'null') {
  return el('td', { class: json === 'null' ? 'code muted' : 'code' }, shortened(json));
}

// headers has a line for each: they hold bytes, which mostly are text.
function headers(json = '[]') {
  const lines = JSON.parse(json).map(({ key, value }) => `${key}: ${value === null ? 'null' : fromBase64(value)}`);
  return el('td', { class: lines.length ? 'code' : 'code muted' }, shortened(lines.join('\n')) || '–');
}

function fromBase64(value) {
  try {
    return utf8.decode(Uint8Array.from(atob(value), (c) => c.charCodeAt(0)));
  } catch {
    return `${value} (base64)`;
  }
}

function clear() {
  rows.replaceChildren(none);
  seen = 0;
  waiting = [];
}

// FORMATS are tried in this order where the format is to be found out: every record is of one
// format at least, as the last shows any bytes.
const FORMATS = ['json', 'avro', 'jsonschema', 'protobuf', 'binary'];
const LABELS = { json: 'JSON', avro: 'Avro', jsonschema: 'JSON Schema', protobuf: 'Protobuf', binary: 'binary' };

function start() {
  stop();
  const { topic, format, from } = Object.fromEntries(new FormData(form));
  clear();
  form.elements.start.disabled = true;
  form.elements.stop.disabled = false;
  say('Connecting');
  if (format) open(topic, format, from, '', (why) => stop(`${topic} is not shown as ${LABELS[format]}: ${why}`));
  else find(topic, from, 0, '');
}

// find tries the formats from one on; reason is why not the one before.
function find(topic, from, n, reason) {
  const how = ` as ${LABELS[FORMATS[n]]}${reason && `, not as ${reason}`}`;
  open(topic, FORMATS[n], from, how, (why) => {
    if (n + 1 === FORMATS.length) return stop(`${topic} cannot be read: ${why}`);
    clear(); // these records come again, or were of another format
    find(topic, from, n + 1, `${LABELS[FORMATS[n]]} (${why})`);
  });
}

// open streams a topic in a format; how is said with its name, and failed is called with the reason
// where the stream has ended for good.
function open(topic, format, from, how, failed) {
  const query = new URLSearchParams({ format, from, headers: true, timestamps: true });
  const mine = new EventSource(`topics/${encodeURIComponent(topic)}/stream?${query}`);
  const end = (why) => {
    mine.close();
    if (mine === source) failed(why);
  };
  source?.close();
  source = mine;
  reading = `Reading ${topic}${how}`;
  mine.addEventListener('open', () => say(reading));
  mine.addEventListener('message', (e) => add(e.data));
  // The node's message about a record that it cannot show, or about the end.
  mine.addEventListener('failure', (e) => {
    const { message, final } = JSON.parse(e.data);
    if (final) end(message); // or the browser would connect again, for the same answer
    else say(message);
  });
  mine.addEventListener('error', async () => {
    if (mine !== source) return;
    if (mine.readyState !== EventSource.CLOSED) say('Reconnecting');
    else end(await refusal(mine.url));
  });
}

// refusal asks once more for a stream that was refused: an EventSource does not tell the reason.
async function refusal(url) {
  const asked = new AbortController();
  try {
    const answer = await fetch(url, { headers: { Accept: 'text/event-stream' }, signal: asked.signal });
    if (!answer.ok) return (await answer.json()).message;
  } catch { /* no answer, or none of the API's */ }
  asked.abort();
  return 'the node does not stream it';
}

form.addEventListener('submit', (e) => {
  e.preventDefault();
  start();
});
form.elements.stop.addEventListener('click', () => {
  stop(`Stopped after ${count(seen)} records`);
  form.elements.start.focus();
});

// tail shows a topic's records from now on.
export function tail(topic) {
  form.elements.topic.value = topic;
  form.elements.format.value = '';
  byId('tail').scrollIntoView();
  form.elements.start.focus({ preventScroll: true });
  start();
}
