// The rows of a table beyond those of the snapshots: a search by text, and pages.

import { root } from './api.js';
import { byId, text } from './dom.js';
import { count } from './format.js';

const ROWS = 100; // of a page, as the node has them

// Paging shows a table's rows: those of the snapshots on the first page, while nothing is searched
// for, and else those that the node finds.
export class Paging {
  // what is the path of the search, and begins the ids of the field and of the buttons; changed is
  // called with how many rows there are.
  constructor(what, table, changed) {
    this.path = `ui/${what}`;
    this.table = table;
    this.changed = changed;
    this.field = byId(`${what}-filter`);
    this.pages = byId(`${what}-pages`);
    [this.before, this.after] = this.pages.querySelectorAll('button');
    this.page = 0;
    this.snapshot = { list: [], count: 0 };
    this.field.addEventListener('input', () => this.turn(0));
    this.before.addEventListener('click', () => this.turn(this.page - 1));
    this.after.addEventListener('click', () => this.turn(this.page + 1));
  }

  wanted() { return this.field.value.trim(); }

  turn(page) {
    this.page = page;
    this.draw();
  }

  // show takes the rows of a snapshot, and how many there are in all.
  show(list, all) {
    this.snapshot = { list, count: all };
    this.draw();
  }

  async draw() {
    if (!this.wanted() && this.page === 0) {
      this.fill(this.snapshot);
      return;
    }
    this.asked = this.asking; // what is typed meanwhile is asked for at the end
    if (this.asking) return;
    this.asking = true;
    const query = new URLSearchParams({ text: this.wanted(), page: this.page });
    try {
      const answer = await fetch(new URL(`${this.path}?${query}`, root));
      if (answer.ok && query.toString() === new URLSearchParams({ text: this.wanted(), page: this.page }).toString()) {
        this.fill(await answer.json());
      }
    } catch { /* the rows that are shown stay; the next snapshot asks again */ }
    this.asking = false;
    if (this.asked) this.draw();
  }

  fill({ list, count: all }) {
    this.table.show(list);
    const last = Math.max(0, Math.ceil(all / ROWS) - 1);
    this.pages.hidden = last === 0;
    this.before.disabled = this.page === 0;
    this.after.disabled = this.page >= last;
    text(this.pages.querySelector('output'), `${count(this.page * ROWS + 1)} to ${count(this.page * ROWS + list.length)} of ${count(all)}`);
    this.changed?.(all);
  }
}
