// The details of a row of the table of topics: the topic's partitions, by the
// public API.

import { get } from './api.js';
import { el, text } from './dom.js';
import { count } from './format.js';
import { members } from './json.js';

const EVERY = 5000; // ms between two looks
const MOST = 100; // partitions that are shown
const AT_ONCE = 3; // a browser opens six connections to a server, and streams hold some

const HEADS = ['Partition', 'Leader', 'Replicas on', 'In sync on', 'First offset', 'Next offset', 'Records'];

// broker writes the ids of brokers so that they are not taken for numbers of replicas.
const broker = (ids) => `${ids.length > 1 ? 'brokers' : 'broker'} ${[ids].flat().join(', ')}`;

// Partitions shows one topic's partitions until it is closed.
export class Partitions {
  constructor(topic) {
    this.path = `topics/${encodeURIComponent(topic)}/partitions`;
    this.note = el('p', { class: 'muted', role: 'status' }, 'Asking for the partitions');
    this.rows = el('tbody');
    this.table = el('table', { hidden: true }, el('caption', {}, `Partitions of ${topic}`),
      el('thead', {}, el('tr', {}, ...HEADS.map((head) => el('th', { scope: 'col', class: 'n' }, head)))), this.rows);
    this.element = el('div', { class: 'partitions' }, this.note, this.table);
    this.load();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }

  async load() {
    try {
      if (!document.hidden) await this.show(JSON.parse(await get(this.path)));
    } catch (e) {
      text(this.note, e.message);
    }
    if (!this.closed) this.timer = setTimeout(() => this.load(), EVERY);
  }

  async show(list) {
    const shown = list.slice(0, MOST);
    while (this.rows.rows.length > shown.length) this.rows.lastElementChild.remove();
    while (this.rows.rows.length < shown.length) {
      this.rows.append(el('tr', {}, ...HEADS.map((_, n) => el(n ? 'td' : 'th', { class: 'n', scope: n ? undefined : 'row' }, '–'))));
    }
    shown.forEach((p, n) => {
      const replicas = p.replicas.map((r) => r.broker);
      const synced = p.replicas.filter((r) => r.in_sync).map((r) => r.broker);
      const { cells } = this.rows.rows[n];
      text(cells[0], p.partition);
      text(cells[1], p.leader < 0 ? 'none' : broker(p.leader));
      cells[1].className = p.leader < 0 ? 'n bad' : 'n';
      text(cells[2], broker(replicas));
      text(cells[3], synced.length ? broker(synced) : 'none');
      cells[3].className = synced.length < replicas.length ? 'n warn' : 'n';
    });
    this.table.hidden = false;
    text(this.note, list.length > MOST ? `The first ${MOST} of ${count(list.length)} partitions` : '');
    const left = shown.entries();
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.offsets(left)));
  }

  // offsets reads those of the remaining partitions. They are shown as sent: an offset may be too large for a number.
  async offsets(left) {
    for (const [n, { partition }] of left) {
      if (this.closed) return;
      const { beginning_offset: first, end_offset: next } = members(await get(`${this.path}/${partition}/offsets`));
      const { cells } = this.rows.rows[n];
      text(cells[4], first);
      text(cells[5], next);
      text(cells[6], BigInt(next) - BigInt(first));
    }
  }
}
