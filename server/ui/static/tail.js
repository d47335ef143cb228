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
  if (source) say(`Reading ${form.elements.topic.value}: ${count(seen)} records`);
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

function start() {
  stop();
  const { topic, format, from } = Object.fromEntries(new FormData(form));
  rows.replaceChildren(none);
  seen = 0;
  waiting = [];
  const query = new URLSearchParams({ format, from, headers: true, timestamps: true });
  source = new EventSource(`topics/${encodeURIComponent(topic)}/stream?${query}`);
  say('Connecting');
  form.elements.start.disabled = true;
  form.elements.stop.disabled = false;
  source.addEventListener('open', () => say(`Reading ${topic}`));
  source.addEventListener('message', (e) => add(e.data));
  // The node's message about a record that it cannot show, or about the end.
  source.addEventListener('failure', (e) => say(JSON.parse(e.data).message));
  source.addEventListener('error', () => {
    if (source?.readyState === EventSource.CLOSED) stop(`The node does not stream ${topic} in this format.`);
    else say('Reconnecting');
  });
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
  byId('tail').scrollIntoView();
  form.elements.start.focus({ preventScroll: true });
  start();
}
