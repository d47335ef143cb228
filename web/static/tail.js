// The topic browser: records of one topic as they come.

import { byId, el, text } from './dom.js';

const ROWS = 200;

const form = byId('tail-form');
const rows = byId('tail-table').tBodies[0];
let source = null;
let seen = 0;

const none = rows.firstElementChild;
const say = (words) => text(form.elements.said, words);

function stop(words) {
  source?.close();
  source = null;
  form.elements.start.disabled = false;
  form.elements.stop.disabled = true;
  if (words !== undefined) say(words);
}

const shown = (v) => (v === null || v === undefined ? '–' : typeof v === 'string' ? v : JSON.stringify(v));

function add(record) {
  if (seen++ === 0) none.remove();
  rows.prepend(el('tr', {},
    el('td', { class: 'n' }, String(record.partition)),
    el('th', { scope: 'row', class: 'n' }, String(record.offset)),
    el('td', { class: 'code' }, shown(record.key)),
    el('td', { class: 'code' }, shown(record.value))));
  while (rows.rows.length > ROWS) rows.lastElementChild.remove();
}

function start() {
  stop();
  const { topic, format, from } = Object.fromEntries(new FormData(form));
  rows.replaceChildren(none);
  seen = 0;
  const query = new URLSearchParams({ format, from });
  source = new EventSource(`topics/${encodeURIComponent(topic)}/stream?${query}`);
  say('Connecting');
  form.elements.start.disabled = true;
  form.elements.stop.disabled = false;
  source.addEventListener('open', () => say(`Reading ${topic}`));
  source.addEventListener('message', (e) => add(JSON.parse(e.data)));
  // What the server says of a record that it cannot show, or before it ends.
  source.addEventListener('failure', (e) => say(JSON.parse(e.data).message));
  source.addEventListener('error', () => {
    if (source?.readyState === EventSource.CLOSED) stop(`The server does not stream ${topic} in this format.`);
    else say('Reconnecting');
  });
}

form.addEventListener('submit', (e) => {
  e.preventDefault();
  start();
});
form.elements.stop.addEventListener('click', () => {
  stop(`Stopped after ${seen} records`);
  form.elements.start.focus();
});

// tail shows a topic's records from now on.
export function tail(topic) {
  form.elements.topic.value = topic;
  byId('tail').scrollIntoView();
  form.elements.start.focus({ preventScroll: true });
  start();
}
