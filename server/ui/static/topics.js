// The table of topics, and the names that forms suggest, which come from the API.

import { get } from './api.js';
import { byId, el, text } from './dom.js';
import * as f from './format.js';
import { Paging } from './paging.js';
import { Partitions } from './partitions.js';
import { action, name, number, plain, Table } from './table.js';
import { tail } from './tail.js';

const MOST = 200; // suggestions

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
  { ...plain(state, (t) => (t.leaderless ? 'bad' : t.behind ? 'warn' : 'muted')), by: need },
  action('Tail', (t) => `Tail topic ${t.name}`, (t) => tail(t.name)),
], { key: (t) => t.name, empty: 'No topics.', by: 9, detail: (t) => new Partitions(t.name) });

function state(t) {
  if (t.leaderless) return `${t.leaderless} without leader`;
  if (t.behind) return `${t.behind} out of sync`;
  if (t.internal) return 'internal';
  return t.partitions === undefined ? undefined : 'ok';
}

// need is by what topics are sorted first: those that cannot be written, those out of sync, others.
function need(t) {
  return t.leaderless ? 0 : t.behind ? 1 : 2;
}

let shown = { list: [], count: 0, partitions: 0 };
let names = []; // of all topics, when they were last asked for
let asking = false;

const paging = new Paging('topics', table, () => {
  text(byId('topics-note'), `${f.plural(shown.count, 'topic')} with ${f.plural(shown.partitions, 'partition')}${shown.count > shown.list.length ? ', those in need and the busiest first' : ''}`);
});

// showTopics takes the topics of a snapshot.
export function showTopics(topics) {
  shown = topics;
  paging.show(topics.list, topics.count);
}

// ask updates the names; an unchanged list is a 304.
async function ask() {
  if (asking) return;
  asking = true;
  try {
    names = JSON.parse(await get('topics'));
  } catch { /* those of the snapshot are still there */ }
  asking = false;
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

for (const field of document.querySelectorAll('[list="topic-names"]')) {
  field.addEventListener('focus', ask);
  field.addEventListener('input', suggest);
}
