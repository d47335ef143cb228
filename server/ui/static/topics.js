// The table of topics, its filter, and the names that forms suggest. A snapshot
// has the figures of the busiest topics; the names of all come from the API when
// the user searches for one.

import { get } from './api.js';
import { byId, el, text } from './dom.js';
import * as f from './format.js';
import { Partitions } from './partitions.js';
import { action, name, number, plain, Table } from './table.js';
import { tail } from './tail.js';

const MOST = 200; // rows, and suggestions

const table = new Table('topics-table', [
  name((t) => t.name),
  number((t) => t.partitions, f.count),
  number((t) => t.replicas, f.count),
  number((t) => t.in_records, f.perSecond),
  number((t) => t.in_bytes, f.bytesPerSecond),
  number((t) => t.out_records, f.perSecond),
  number((t) => t.out_bytes, f.bytesPerSecond),
  number((t) => t.produced, f.count),
  number((t) => t.consumed, f.count),
  plain(state, (t) => (t.leaderless ? 'bad' : t.behind ? 'warn' : 'muted')),
  action('Tail', (t) => `Tail topic ${t.name}`, (t) => tail(t.name)),
], { key: (t) => t.name, empty: 'No topics.', by: 0, detail: (t) => new Partitions(t.name) });

function state(t) {
  if (t.leaderless) return `${t.leaderless} without leader`;
  if (t.behind) return `${t.behind} out of sync`;
  if (t.internal) return 'internal';
  return t.partitions === undefined ? undefined : 'ok';
}

let shown = { list: [], count: 0, partitions: 0 };
let names = []; // of all topics, when they were last asked for
let asking = false;

const filter = byId('topics-filter');

// showTopics takes the topics of a snapshot.
export function showTopics(topics) {
  shown = topics;
  draw();
}

function draw() {
  const wanted = filter.value.trim().toLowerCase();
  const fits = (topic) => topic.toLowerCase().includes(wanted);
  const busy = new Set(shown.list.map((t) => t.name));
  const quiet = wanted ? names.filter((topic) => !busy.has(topic) && fits(topic)) : [];
  const rows = [...shown.list.filter((t) => fits(t.name)), ...quiet.slice(0, MOST).map((topic) => ({ name: topic }))];
  table.show(rows);
  const words = `${f.plural(shown.count, 'topic')} with ${f.plural(shown.partitions, 'partition')}`;
  const left = Math.max(0, quiet.length - MOST);
  if (left > 0) text(byId('topics-note'), `${words}; ${f.count(left)} more have such a name`);
  else if (!wanted && shown.count > busy.size) text(byId('topics-note'), `${words}; the busiest ${busy.size} are listed, the filter finds all`);
  else text(byId('topics-note'), words);
}

// ask updates the names; an unchanged list is a 304.
async function ask() {
  if (asking) return;
  asking = true;
  try {
    names = JSON.parse(await get('topics'));
  } catch { /* those of the snapshot are still there */ }
  asking = false;
  draw();
  suggest();
}

// suggest offers names that fit what is typed: of ten thousand, a browser would
// not draw them all.
function suggest() {
  const field = document.activeElement;
  if (field?.getAttribute('list') !== 'topic-names') return;
  const typed = field.value.toLowerCase();
  const all = new Set([...shown.list.filter((t) => !t.internal).map((t) => t.name), ...names]);
  const offered = [...all].filter((topic) => topic.toLowerCase().includes(typed)).sort().slice(0, MOST);
  const list = byId('topic-names');
  if (offered.join('\n') === list.dataset.names) return;
  list.dataset.names = offered.join('\n');
  list.replaceChildren(...offered.map((value) => el('option', { value })));
}

filter.addEventListener('focus', ask);
filter.addEventListener('input', draw);
for (const field of document.querySelectorAll('[list="topic-names"]')) {
  field.addEventListener('focus', ask);
  field.addEventListener('input', suggest);
}
