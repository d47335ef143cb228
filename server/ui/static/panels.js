// The parts that snapshots fill: figures, tables, and the present trouble.

import { byId, el, text } from './dom.js';
import * as f from './format.js';
import { long, name, number, plain, Table } from './table.js';
import { Paging } from './paging.js';
import { showTopics } from './topics.js';

// lag is unknown until Kafka has returned a group's offsets and its topics' end offsets.
const lag = (of) => (of.lag_known ? of.lag : null);

const groups = new Table('groups-table', [
  long(name((g) => g.group)),
  number((g) => g.instances, f.count),
  number((g) => g.partitions, f.count),
  number(lag, f.count),
], { key: (g) => g.group, empty: 'No groups.', by: 0 });

const reads = (i) => (i.pattern ? `/${i.topics[0]}/` : (i.topics ?? []).join(', ') || '–');

const instances = new Table('instances-table', [
  long(name((i) => i.name)),
  long(plain((i) => i.group)),
  plain((i) => i.format),
  long(plain(reads)),
  number((i) => i.partitions, f.count),
  number(lag, f.count),
  number((i) => i.backlog, f.count),
  number((i) => i.idle, f.span),
], { key: (i) => `${i.group}\n${i.name}`, empty: 'No consumer instances.', by: 5, down: true });

const pages = new Paging('instances', instances);

const brokers = new Table('brokers-table', [
  name((b) => b.id),
  plain((b) => `${b.host}:${b.port}`),
  plain((b) => b.rack || '–'),
  plain((b) => (b.controller ? 'controller' : 'broker')),
  number((b) => b.leads, f.count),
  number((b) => b.replicas, f.count),
  number((b) => b.behind, f.count, (b) => b.behind > 0),
], { key: (b) => b.id, empty: 'No broker has answered yet.', by: 0 });

const routeName = (r) => `${r.method} ${r.path}`;

const routes = new Table('routes-table', [
  { ...name(routeName), by: (r) => `${r.path} ${r.method}` },
  number((r) => r.rate, f.perSecond),
  number((r) => r.p50, f.seconds),
  number((r) => r.p99, f.seconds),
  number((r) => r.in, f.bytesPerSecond),
  number((r) => r.out, f.bytesPerSecond),
  number((r) => r.requests, f.count),
  number((r) => r.failed - r.broken, f.count),
  number((r) => r.broken, f.count, (r) => r.broken > 0),
], { key: routeName, empty: 'No requests yet.', by: 0 });

const codecs = new Table('codecs-table', [
  name((c) => c.name),
  number((c) => c.ratio, f.ratio),
  number((c) => (c.out ? c.in / c.out : null), f.ratio),
  number((c) => c.rate, f.bytesPerSecond),
  number((c) => (c.cost == null ? null : c.cost * 1e6), f.seconds),
  number((c) => c.batches, f.count),
], { key: (c) => c.name, empty: 'Nothing was compressed yet.', by: 0 });

let known = {}; // the table of errors, by name
let now = 0;

const about = (e) => known[e.name] ?? { status: 0, code: 0, text: '', advice: '', retry: false };

// broken tells a fault of the node or of Kafka from a mistake of a client, which
// must not alarm the operator.
const broken = (e) => about(e).status >= 500;

const recent = new Table('recent-table', [
  { text: (e) => f.ago(e.last, now) },
  { head: true, text: (e) => `${about(e).code} ${e.name}`, class: (e) => (broken(e) ? 'bad' : '') },
  { text: (e) => about(e).advice, class: () => 'prose' },
  { text: (e) => e.where },
  { text: (e) => f.count(e.count), class: () => 'n' },
  { text: (e) => e.topic || '–' },
  { text: (e) => e.client || '–' },
  { text: (e) => e.message || '–', class: () => 'prose' },
], { key: (e) => `${e.name}\n${e.where}`, empty: 'No errors since the start.' });

const codes = new Table('codes-table', [
  number((e) => about(e).status, String, broken),
  number((e) => about(e).code, String),
  name((e) => e.name),
  number((e) => e.requests, f.count),
  number((e) => e.rate, f.perSecond),
  number((e) => e.records, f.count),
  number((e) => e.record_rate, f.perSecond),
  plain((e) => (about(e).retry ? 'yes' : 'no')),
], { key: (e) => e.name, empty: 'No errors since the start.', by: 1 });

const settings = new Table('config-table', [
  { ...name((s) => s.name), text: (s) => s.name + (s.runtime ? ' ⟳' : '') },
  plain((s) => s.value, () => 'code'),
  plain((s) => s.origin, (s) => (s.origin === 'default' ? 'muted' : '')),
], { key: (s) => s.name, empty: 'Not shown by this node.', by: 0 });

const sum = (list, field) => (list ?? []).reduce((total, item) => total + item[field], 0);

// Facts are figures without a chart of their own, in this order: their
// names, their values, and when a value is bad. Their number fits every width of
// their grid.
const facts = {
  kafka: ['Kafka', (s) => (s.state.reachable ? 'reachable' : `silent for ${f.span(s.state.silence)}`), (s) => !s.state.reachable],
  held: ['Held for Kafka', (s) => `${f.bytes(s.state.held)} of ${f.bytes(s.state.held_limit)}`, (s) => s.state.held > 0.8 * s.state.held_limit],
  failing: ['Failed records', (s) => f.perSecond(sum(s.errors, 'record_rate')), (s) => sum(s.errors.filter(broken), 'record_rate') >= 0.05],
  lag: ['Consumer lag', (s) => f.plural(sum(s.consumers.groups, 'lag'), 'record')],
  instances: ['Consumers', (s) => f.plural(s.consumers.instances, 'instance'), (s) => s.consumers.instances >= s.consumers.limit],
  streams: ['Streams', (s) => `${f.count(s.state.streams)} open`],
  flight: ['Requests in flight', (s) => f.count(s.state.in_flight)],
  connections: ['Connections', (s) => f.count(s.state.connections)],
  requests: ['Requests so far', (s) => f.count(s.totals.requests)],
  broken: ['Server errors so far', (s) => f.count(s.totals.broken)],
  recordsIn: ['Records in so far', (s) => f.count(s.totals.records_in)],
  recordsOut: ['Records out so far', (s) => f.count(s.totals.records_out)],
};

const factCells = {};
for (const [key, [label]] of Object.entries(facts)) {
  const value = el('dd', { id: `fact-${key}` }, '–');
  factCells[key] = value;
  byId('facts').append(el('div', {}, el('dt', {}, label), value));
}

// learn takes the constants of a page.
export function learn(hello) { known = hello.errors; }

// show fills everything from one snapshot.
export function show(s) {
  now = s.at;
  for (const [key, [, write, bad]] of Object.entries(facts)) {
    text(factCells[key], write(s));
    factCells[key].className = bad?.(s) ? 'bad' : '';
  }
  trouble(s);
  showTopics(s.topics);
  groups.show(s.consumers.groups ?? []);
  pages.show(s.consumers.list ?? [], s.consumers.instances);
  text(byId('consumers-note'), `${f.count(s.consumers.instances)} of at most ${f.plural(s.consumers.limit, 'instance')} in ${f.plural(s.consumers.group_count, 'group')}`);
  brokers.show(s.brokers.list ?? []);
  text(byId('brokers-note'), s.brokers.known ? `cluster ${s.brokers.cluster || 'without id'}, as of ${f.span(s.brokers.age)} ago` : '');
  recent.show(s.recent);
  codes.show(s.errors);
  routes.show(s.routes);
  codecs.show(s.codecs);
}

// trouble describes what an operator should check first.
function trouble(s) {
  const said = [];
  if (s.state.draining) said.push('The node is shutting down.');
  if (!s.state.reachable) said.push(`No Kafka broker answers. ${known.brokers_unreachable?.advice ?? ''}`);
  if (s.topics.leaderless > 0) said.push(`${f.plural(s.topics.leaderless, 'partition')} without a leader: nothing can be written to them or read from them.`);
  if (s.state.panics > 0) said.push(`${f.plural(s.state.panics, 'request')} met a defect of the node; see its log.`);
  byId('trouble').hidden = said.length === 0;
  text(byId('trouble'), said.join(' '));
}

let filterSettings = () => {};

export function configure(list) {
  filterSettings = () => {
    const wanted = byId('config-filter').value.trim().toLowerCase();
    settings.show(list.filter((s) => s.name.toLowerCase().includes(wanted)));
  };
  filterSettings();
}

byId('config-filter').addEventListener('input', () => filterSettings());
