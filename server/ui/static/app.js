// The page's start: one stream from the node, and the drawing of its events.

import { byId, text } from './dom.js';
import * as f from './format.js';
import { Chart } from './chart.js';
import { configure, learn, show } from './panels.js';
import './forms.js';

const KEPT = 300; // points, as the node keeps
const RETRY = 3000; // ms, where the browser gives up by itself

const line = (name, field, write, look) => ({ name, field, write, look });

// client has the mistakes of clients.
const withClient = (p) => ({ ...p, client: p.failed - p.broken });

const charts = [
  new Chart('Requests', [line('answered', 'requests', f.perSecond, 'first')]),
  new Chart('Records', [
    line('in', 'records_in', f.perSecond, 'first'),
    line('out', 'records_out', f.perSecond, 'second')]),
  new Chart('Traffic', [
    line('in', 'bytes_in', f.bytesPerSecond, 'first'),
    line('out', 'bytes_out', f.bytesPerSecond, 'second')]),
  new Chart('Failed requests', [
    line('server, 5xx', 'broken', f.perSecond, 'wrong'),
    line('client, 4xx', 'client', f.perSecond, 'quiet')]),
  new Chart('Produce latency', [
    line('p99', 'p99', f.seconds, 'first'),
    line('p50', 'p50', f.seconds, 'second')], { log: true }),
  new Chart('Consume latency', [
    line('p99', 'consume_p99', f.seconds, 'first'),
    line('p50', 'consume_p50', f.seconds, 'second')], { log: true }),
  new Chart('Age of records read', [
    line('p99', 'age_p99', f.seconds, 'first'),
    line('p50', 'age_p50', f.seconds, 'second')], { log: true }),
  new Chart('Compression', [line('ratio', 'ratio', f.ratio, 'first')]),
];
byId('charts').append(...charts.map((c) => c.element));

let fields = [];
let points = [];
let paused = false;
let hello = null;
let source = null;
let shownAt = 0; // the time of the figures that are shown
const clock = new Intl.DateTimeFormat([], { timeStyle: 'medium' });

const unpack = (point) => withClient(Object.fromEntries(fields.map((name, i) => [name, point[i]])));

function state(kind, words) {
  const pill = byId('status');
  document.body.toggleAttribute('data-old', kind === 'bad');
  byId('old').hidden = kind !== 'bad' || !shownAt;
  text(byId('old'), `The node does not answer. These figures are of ${clock.format(shownAt)}.`);
  pill.dataset.state = kind;
  text(pill, words);
}

function open() {
  if (source) return;
  source = new EventSource('ui/events');
  source.addEventListener('hello', (e) => {
    hello = JSON.parse(e.data);
    fields = hello.fields;
    points = hello.history.map(unpack);
    learn(hello);
    state(paused ? 'wait' : 'good', paused ? 'paused' : 'live');
  });
  source.addEventListener('config', (e) => configure(JSON.parse(e.data).settings));
  source.addEventListener('snapshot', (e) => take(JSON.parse(e.data)));
  source.addEventListener('error', () => {
    state('bad', 'reconnecting');
    if (source.readyState === EventSource.CLOSED) { // refused, not only gone
      close();
      setTimeout(() => { if (!document.hidden) open(); }, RETRY);
    }
  });
}

function close() {
  source?.close();
  source = null;
}

function take(snapshot) {
  if (snapshot.point) {
    const point = unpack(snapshot.point);
    if (point.at > (points.at(-1)?.at ?? 0)) points.push(point);
    if (points.length > KEPT) points.shift();
  }
  if (paused) return;
  for (const chart of charts) chart.draw(points, snapshot.at);
  show(snapshot);
  shownAt = snapshot.at;
  for (const place of document.querySelectorAll('[data-build]')) {
    text(place, `${hello.version || 'unversioned'}, up ${f.span((snapshot.at - hello.started) / 1000)}`);
  }
}

byId('pause').addEventListener('click', () => {
  paused = !paused;
  text(byId('pause'), paused ? 'Resume' : 'Pause');
  if (source?.readyState === EventSource.OPEN) state(paused ? 'wait' : 'good', paused ? 'paused' : 'live');
});

// A hidden page needs no figures; the next hello has those that it missed.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) close();
  else open();
});
if (!document.hidden) open();
