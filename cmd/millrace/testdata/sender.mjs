// Tests the sender of examples/web, which is the first argument, with a page and a network that are
// made up.
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const { sender } = await import(pathToFileURL(process.argv[2]));

// page returns a page with a sender. Time passes only by tick, which lets the timers of the page
// run that are due.
function page(answer, room = Infinity) {
  const listeners = {}, kept = new Map(), timers = new Map();
  let now = 0, id = 0;
  const p = { requests: [], kept, dropped: [] };
  globalThis.setTimeout = (f, ms) => (timers.set(++id, { f, at: now + ms }), id);
  globalThis.clearTimeout = (n) => timers.delete(n);
  globalThis.addEventListener = (name, f) => { listeners[name] = f; };
  globalThis.document = { addEventListener() {}, visibilityState: 'visible' };
  Object.defineProperty(globalThis, 'navigator', { configurable: true, value: { onLine: true, sendBeacon: () => false } });
  globalThis.localStorage = {
    getItem: (name) => kept.get(name) ?? null,
    setItem(name, text) { if (text.length > room) throw new Error('QuotaExceededError'); kept.set(name, text); },
    removeItem: (name) => kept.delete(name),
  };
  globalThis.fetch = async (url, { body }) => {
    const lines = body.split('\n');
    p.requests.push({ at: now, lines });
    const { status, text = '', after = null } = await answer(lines, p);
    return { status, ok: status < 300, headers: { get: () => after }, text: async () => text, json: async () => JSON.parse(text) };
  };
  p.fire = (name) => listeners[name]();
  p.tick = async (ms) => {
    now += ms;
    for (const [n, t] of [...timers]) if (t.at <= now && timers.delete(n)) t.f();
    for (let i = 0; i < 1000; i++) await null; // all that waits for nothing but a promise
  };
  p.events = sender('http://node/ingest/app', { dropped: (event, why) => p.dropped.push([event, why]) });
  return p;
}

// An event that comes while a request is on its way does not make the page send again too early.
{
  let n = 0;
  const p = page((_, p) => {
    if (n++ > 0) return { status: 204 };
    p.events.send({ n: 1 });
    return { status: 503, after: '30' };
  });
  p.events.send({ n: 0 });
  for (let i = 0; i < 40; i++) await p.tick(1000);
  assert.deepEqual(p.requests.map((r) => [r.at, r.lines.length]), [[1000, 1], [31000, 2]]);
}

// Of a batch that is too much for the route all events are sent that it takes, each once.
for (const status of [413, 408, 429]) {
  let n = 0;
  const taken = [];
  const p = page((lines) => {
    if (status === 413 ? lines.length > 3 || lines.includes('"large"') : n++ === 0) return { status };
    taken.push(...lines);
    return { status: 204 };
  });
  const events = ['0', '1', '2', '3', '"large"', '5', '6', '7', '8', '9'];
  events.forEach((e) => p.events.send(JSON.parse(e)));
  for (let i = 0; i < 10; i++) await p.tick(1000);
  assert.deepEqual(taken, status === 413 ? events.filter((e) => e !== '"large"') : events, `${status}`);
  assert.equal(p.dropped.length, status === 413 ? 1 : 0);
}

// Where there is no room for all events as a page goes, some are kept.
{
  const p = page(() => ({ status: 204 }), 50);
  for (let n = 0; n < 10; n++) p.events.send({ n });
  p.fire('pagehide');
  assert.equal(JSON.parse(p.kept.values().next().value ?? '[]')[0], '{"n":0}');
  const left = p.events.pending();
  assert(left > 0 && left < 10, `${left} events wait`);
  p.fire('pageshow');
  assert.equal(p.kept.size, 0);
  await p.tick(0);
  assert.deepEqual(p.requests.flatMap((r) => r.lines), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => JSON.stringify({ n })));
}
