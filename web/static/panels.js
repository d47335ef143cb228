// What the snapshots fill: figures, tables, and what is wrong at the moment.

import { byId, el, name, number, plain, Table, text } from './dom.js';
import * as f from './format.js';
import { tail } from './tail.js';

const badIf = (bad) => (item) => (bad(item) ? 'n bad' : 'n');

const topics = new Table('topics-table', (t) => t.name, [
  name((t) => t.name),
  number((t) => f.count(t.partitions)),
  number((t) => f.count(t.replicas)),
  number((t) => f.rate(t.in_records)),
  number((t) => f.bytes(t.in_bytes)),
  number((t) => f.rate(t.out_records)),
  number((t) => f.bytes(t.out_bytes)),
  number((t) => f.count(t.produced)),
  number((t) => f.count(t.consumed)),
  { text: topicState, class: (t) => (t.leaderless ? 'bad' : t.behind ? 'warn' : 'muted') },
  { button: { text: 'Tail', label: (t) => `Tail topic ${t.name}`, do: (t) => tail(t.name) } },
], 'No topics.');

function topicState(t) {
  if (t.leaderless) return `${t.leaderless} without leader`;
  if (t.behind) return `${t.behind} out of sync`;
  return t.internal ? 'internal' : 'ok';
}

const groups = new Table('groups-table', (g) => g.group, [
  name((g) => g.group),
  number((g) => f.count(g.instances)),
  number((g) => f.count(g.partitions)),
  number((g) => f.count(g.lag)),
], 'No groups.');

const instances = new Table('instances-table', (i) => `${i.group}\n${i.name}`, [
  name((i) => i.name),
  plain((i) => i.group),
  plain((i) => i.format),
  plain((i) => (i.pattern ? `/${i.topics[0]}/` : (i.topics ?? []).join(', ') || '–')),
  number((i) => f.count(i.partitions)),
  number((i) => f.count(i.lag)),
  number((i) => f.count(i.backlog)),
  number((i) => f.span(i.idle)),
], 'No consumer instances.');

const brokers = new Table('brokers-table', (b) => b.id, [
  { text: (b) => b.id, head: true, class: () => 'n' },
  plain((b) => `${b.host}:${b.port}`),
  plain((b) => b.rack || '–'),
  plain((b) => (b.controller ? 'controller' : 'broker')),
  number((b) => f.count(b.leads)),
  number((b) => f.count(b.replicas)),
  { text: (b) => f.count(b.behind), class: badIf((b) => b.behind > 0) },
], 'No broker has answered yet.');

const routes = new Table('routes-table', (r) => `${r.method} ${r.path}`, [
  name((r) => `${r.method} ${r.path}`),
  number((r) => f.rate(r.rate)),
  number((r) => f.seconds(r.p50)),
  number((r) => f.seconds(r.p99)),
  number((r) => f.bytes(r.in)),
  number((r) => f.bytes(r.out)),
  number((r) => f.count(r.requests)),
  number((r) => f.count(r.failed)),
], 'No requests yet.');

const codecs = new Table('codecs-table', (c) => c.name, [
  name((c) => c.name),
  number((c) => f.ratio(c.ratio)),
  number((c) => f.ratio(c.out ? c.in / c.out : null)),
  number((c) => f.bytes(c.rate)),
  number((c) => f.seconds(c.cost == null ? null : c.cost * 1e6)),
  number((c) => f.count(c.batches)),
], 'Nothing was compressed yet.');

let known = {}; // the table of errors, by name
let now = 0;

const about = (e) => known[e.name] ?? { status: 0, code: 0, text: '', advice: '', retry: false };

const recent = new Table('recent-table', (e) => `${e.name}\n${e.where}`, [
  plain((e) => f.ago(e.last, now)),
  name((e) => `${about(e).code} ${e.name}`),
  { text: (e) => about(e).advice, class: () => 'prose' },
  plain((e) => e.where),
  number((e) => f.count(e.count)),
], 'No errors since the start.');

const codes = new Table('codes-table', (e) => e.name, [
  number((e) => about(e).status),
  { text: (e) => about(e).code, class: () => 'n' },
  name((e) => e.name),
  number((e) => f.count(e.requests)),
  number((e) => f.count(e.records)),
  number((e) => f.rate(e.rate)),
  plain((e) => (about(e).retry ? 'yes' : 'no')),
], 'No errors since the start.');

const settings = new Table('config-table', (s) => s.name, [
  name((s) => s.name + (s.runtime ? ' ⟳' : '')),
  { text: (s) => s.value, class: () => 'code' },
  { text: (s) => s.origin, class: (s) => (s.origin === 'default' ? 'muted' : '') },
], 'Not shown by this server.');

// Facts are figures without a chart of their own, in this order.
const facts = {
  kafka: ['Kafka', (s) => (s.state.reachable ? 'reachable' : `silent for ${f.span(s.state.silence)}`), (s) => !s.state.reachable],
  failing: ['Errors', (s) => `${f.rate(sum(s.errors, 'rate'))} /s`, (s) => sum(s.errors, 'rate') >= 0.05],
  held: ['Held for Kafka', (s) => `${f.bytes(s.state.held)} of ${f.bytes(s.state.held_limit)}`, (s) => s.state.held > 0.8 * s.state.held_limit],
  flight: ['In flight', (s) => f.count(s.state.in_flight)],
  connections: ['Connections', (s) => f.count(s.state.connections)],
  streams: ['Streams', (s) => f.count(s.state.streams)],
  instances: ['Instances', (s) => f.count(s.consumers.instances), (s) => s.consumers.instances >= s.consumers.limit],
  lag: ['Lag', (s) => f.count(sum(s.consumers.groups, 'lag'))],
  requests: ['Requests in all', (s) => f.count(s.totals.requests)],
  recordsIn: ['Records in', (s) => f.count(s.totals.records_in)],
  recordsOut: ['Records out', (s) => f.count(s.totals.records_out)],
};

const sum = (list, field) => (list ?? []).reduce((total, item) => total + item[field], 0);

const factCells = {};
for (const [key, [label]] of Object.entries(facts)) {
  const value = el('dd', { id: `fact-${key}` }, '–');
  factCells[key] = value;
  byId('facts').append(el('div', {}, el('dt', {}, label), value));
}

// learn takes what a page needs once.
export function learn(hello) { known = hello.errors; }

let filterTopics = () => {};
let filterSettings = () => {};

// show fills everything from one snapshot.
export function show(s) {
  now = s.at;
  for (const [key, [, write, bad]] of Object.entries(facts)) {
    text(factCells[key], write(s));
    factCells[key].className = bad?.(s) ? 'bad' : '';
  }
  trouble(s);
  filterTopics = () => topics.show(matching(s.topics.list, 'topics-filter'));
  filterTopics();
  const more = s.topics.count - s.topics.list.length;
  text(byId('topics-note'), `${f.count(s.topics.count)} with ${f.plural(s.topics.partitions, 'partition')}` +
    (more > 0 ? `; ${f.count(more)} quiet ones are not listed` : ''));
  groups.show(s.consumers.groups ?? []);
  instances.show(s.consumers.list ?? []);
  text(byId('consumers-note'), `${f.count(s.consumers.instances)} of at most ${f.count(s.consumers.limit)} instances in ${f.plural(s.consumers.group_count, 'group')}`);
  brokers.show(s.brokers.list ?? []);
  text(byId('brokers-note'), s.brokers.known ? `cluster ${s.brokers.cluster || 'without id'}, as of ${f.span(s.brokers.age)} ago` : '');
  recent.show(s.recent);
  codes.show(s.errors.toSorted((a, b) => b.requests + b.records - a.requests - a.records));
  routes.show(s.routes.toSorted((a, b) => b.rate - a.rate || b.requests - a.requests));
  codecs.show(s.codecs);
  suggest(s.topics.list);
}

// trouble says in words what an operator should look at first.
function trouble(s) {
  const said = [];
  if (s.state.draining) said.push('The server is shutting down.');
  if (!s.state.reachable) said.push(`No Kafka broker answers. ${known.brokers_unreachable?.advice ?? ''}`);
  if (s.topics.leaderless > 0) said.push(`${f.count(s.topics.leaderless)} partitions have no leader: they can be neither written nor read.`);
  if (s.state.panics > 0) said.push(`${f.count(s.state.panics)} requests met a defect of the server; see its log.`);
  byId('trouble').hidden = said.length === 0;
  text(byId('trouble'), said.join(' '));
}

const matching = (list, filter) => {
  const wanted = byId(filter).value.trim().toLowerCase();
  return wanted ? list.filter((item) => item.name.toLowerCase().includes(wanted)) : list;
};

// suggest offers the topics' names to the forms.
function suggest(list) {
  const offered = byId('topic-names');
  const wanted = list.filter((t) => !t.internal).map((t) => t.name);
  if (wanted.join('\n') === offered.dataset.names) return;
  offered.dataset.names = wanted.join('\n');
  offered.replaceChildren(...wanted.map((value) => el('option', { value })));
}

export function configure(list) {
  filterSettings = () => settings.show(matching(list, 'config-filter'));
  filterSettings();
}

byId('topics-filter').addEventListener('input', () => filterTopics());
byId('config-filter').addEventListener('input', () => filterSettings());
