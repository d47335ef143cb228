// Sends the events of a web page to an ingest route of millrace: in batches, again when the node
// asks for it, and as a beacon when the page goes. What cannot be sent then waits in localStorage
// for the next page of the same origin.
//
//     const events = sender('https://events.example/ingest/app');
//     events.send({ event: 'click' });

const batchBytes = 30_000; // a page that goes may have 64 KiB on their way, beacons included
const mostWaiting = 20_000;

// text/plain needs no preflight; application/x-ndjson does. linger is in milliseconds.
export function sender(url, { linger = 1000, type = 'text/plain', dropped = console.warn } = {}) {
  const store = `millrace ${url}`;
  const size = (text) => new TextEncoder().encode(text).length;
  let waiting = [], timer = null, busy = false, failures = 0;

  function send(event) {
    if (waiting.push(JSON.stringify(event)) > mostWaiting) dropped(waiting.shift(), 'too many events wait');
    flushAfter(linger);
  }
  function flushAfter(ms) { timer ??= setTimeout(flush, ms); }

  function take() {
    let n = 0;
    for (let bytes = 0; n < waiting.length && (n === 0 || bytes < batchBytes); n++) bytes += size(waiting[n]) + 1;
    return waiting.splice(0, n);
  }

  async function flush() {
    clearTimeout(timer);
    timer = null;
    if (busy || waiting.length === 0) return;
    busy = true;
    const batch = take();
    const { again, wait } = await post(batch);
    failures = again.length > 0 ? failures + 1 : 0;
    waiting.unshift(...again);
    busy = false;
    if (failures > 0) { // an event that came meanwhile does not make it wait for less
      clearTimeout(timer);
      timer = null;
    }
    if (waiting.length > 0) flushAfter(wait ?? (failures ? Math.random() * Math.min(1000 * 2 ** failures, 60_000) : 0));
  }

  // post returns the events to send again, and after how long, if the node has said that.
  async function post(batch) {
    const body = batch.join('\n');
    try {
      const response = await fetch(url, { method: 'POST', headers: { 'Content-Type': type }, body, keepalive: size(body) < 2 * batchBytes });
      const after = response.headers.get('Retry-After');
      const wait = after === null ? undefined : 1000 * Number(after);
      if (response.status === 207) {
        const { errors } = await response.json();
        errors.filter((e) => !e.retry).forEach((e) => dropped(batch[e.index], e.message));
        return { again: errors.filter((e) => e.retry).map((e) => batch[e.index]), wait };
      }
      if (response.status === 413 && batch.length > 1) { // fewer may go in a request
        const half = batch.length >> 1;
        const first = await post(batch.slice(0, half));
        if (first.again.length === 0) return post(batch.slice(half));
        return { again: [...first.again, ...batch.slice(half)], wait: first.wait };
      }
      if (after !== null || [408, 429, 502, 503, 504].includes(response.status)) return { again: batch, wait };
      if (!response.ok) dropped(batch, await response.text());
      return { again: [] };
    } catch { // there is no network, or CORS does not allow this page
      return { again: batch };
    }
  }

  // leave: a hidden page may never be seen again. What is on its way with keepalive arrives.
  function leave() {
    const beacon = failures === 0 && navigator.onLine ? take() : [];
    if (beacon.length > 0 && !navigator.sendBeacon(url, beacon.join('\n'))) waiting.unshift(...beacon);
    if (waiting.length === 0) return;
    for (let n = waiting.length; n > 0; n >>= 1) { // what there is room for
      try {
        localStorage.setItem(store, JSON.stringify([...stored(), ...waiting.slice(0, n)]));
        waiting.splice(0, n);
        return;
      } catch { /* it is full, or not allowed */ }
    }
  }
  function stored() {
    try { return JSON.parse(localStorage.getItem(store)) ?? []; } catch { return []; }
  }
  function back() {
    const kept = stored();
    waiting.unshift(...kept);
    if (kept.length > 0) localStorage.removeItem(store);
    if (waiting.length > 0) flush();
  }
  addEventListener('pagehide', leave);
  addEventListener('pageshow', back);
  addEventListener('online', flush);
  document.addEventListener('visibilitychange', () => (document.visibilityState === 'hidden' ? leave() : back()));
  return { send, pending: () => waiting.length + Number(busy) };
}
