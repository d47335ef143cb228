// A table's body that follows a list.

import { byId, el, text } from './dom.js';

const collator = new Intl.Collator('en', { numeric: true });

// Table keeps a table's body equal to a list. Rows are kept by key, and none is
// moved while the pointer or the keyboard's focus is in the table.
export class Table {
  // Columns are made by number, plain and name. options are key(item), the
  // words for an empty list, the column to sort by from the start (none for the
  // list's own order) and whether the largest come first (down), and detail(item), which makes the details of a row.
  constructor(id, columns, { key, empty, by, down = false, detail }) {
    this.table = byId(id);
    this.body = this.table.tBodies[0];
    this.key = key;
    this.columns = columns;
    this.detail = detail;
    this.rows = new Map();
    this.none = el('tr', { class: 'none' }, el('td', { colspan: columns.length }, empty));
    this.body.append(this.none);
    this.heads = [...this.table.tHead.rows[0].cells];
    columns.forEach((column, n) => {
      if (column.by) this.sortable(n);
    });
    this.sort(by, down);
  }

  // sortable makes a column's head a button.
  sortable(n) {
    const button = el('button', { type: 'button', class: 'sort' }, ...this.heads[n].childNodes);
    button.addEventListener('click', () => {
      // Numbers are asked for the largest first.
      this.sort(n, this.sorted === n ? !this.down : this.columns[n].numeric ?? false);
      this.show(this.items ?? [], true);
    });
    this.heads[n].append(button);
  }

  sort(n, down) {
    this.sorted = n;
    this.down = down;
    this.heads.forEach((head, i) => {
      if (i === n) head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
  }

  // show updates the body.
  show(items, anew = false) {
    this.items = items;
    const byKey = new Map(this.order(items, anew).map((item) => [this.key(item), item]));
    this.remove(byKey);
    const kept = new Map();
    for (const [key, item] of byKey) {
      const row = this.rows.get(key) ?? this.make();
      row.item = item;
      this.fill(row);
      kept.set(key, row);
    }
    this.rows = kept;
    this.place([...kept.values()].flatMap((row) => (row.opened ? [row.element, row.opened] : [row.element])));
    this.none.hidden = kept.size > 0;
  }

  order(items, anew) {
    const column = this.columns[this.sorted];
    const sign = this.down ? -1 : 1;
    const sorted = !column ? [...items] : items.toSorted((a, b) =>
      sign * compare(column.by(a), column.by(b)) || collator.compare(this.key(a), this.key(b)));
    if (anew || !this.body.matches(':hover, :focus-within')) return sorted;
    const place = new Map([...this.rows.keys()].map((key, n) => [key, n]));
    const at = (item) => place.get(this.key(item)) ?? Infinity;
    return sorted.sort((a, b) => (at(a) === at(b) ? 0 : at(a) - at(b)));
  }

  // remove removes the rows of items that are gone, before any other is placed,
  // so that these need not move.
  remove(byKey) {
    for (const [key, row] of this.rows) {
      if (byKey.has(key)) continue;
      const focused = row.element.contains(document.activeElement) || row.opened?.contains(document.activeElement);
      row.element.remove();
      row.opened?.remove();
      row.detail?.close();
      if (focused) this.table.tHead.querySelector('button')?.focus({ preventScroll: true });
    }
  }

  // place puts elements in order. The one with the focus would lose it if it
  // moved: the others go around it.
  place(elements) {
    let at = this.none.nextElementSibling;
    for (const element of elements) {
      if (element !== at && element.contains(document.activeElement)) {
        for (let next; at !== element; at = next) {
          next = at.nextElementSibling;
          this.body.append(at);
        }
      }
      if (element === at) at = at.nextElementSibling;
      else this.body.insertBefore(element, at);
    }
  }

  make() {
    const row = { cells: [], element: el('tr') };
    for (const column of this.columns) {
      const cell = column.head ? el('th', { scope: 'row' }) : el('td');
      let inner = cell;
      if (column.button) {
        inner = el('button', { type: 'button', class: 'small' });
        inner.addEventListener('click', () => column.button(row.item));
      } else if (column.head && this.detail) {
        inner = el('button', { type: 'button', class: 'open', 'aria-expanded': 'false' });
        inner.addEventListener('click', () => this.toggle(row));
        row.toggle = inner;
      }
      if (inner !== cell) cell.append(inner);
      row.cells.push({ cell, inner });
      row.element.append(cell);
    }
    return row;
  }

  fill(row) {
    this.columns.forEach((column, i) => {
      const { cell, inner } = row.cells[i];
      const shown = String(column.text(row.item) ?? '–');
      text(inner, shown);
      if (column.label) inner.setAttribute('aria-label', column.label(row.item));
      const wanted = column.class?.(row.item) ?? '';
      if (cell.className !== wanted) cell.className = wanted;
      if (column.long && cell.title !== shown) cell.title = shown;
    });
  }

  toggle(row) {
    row.toggle.setAttribute('aria-expanded', String(!row.opened));
    if (row.opened) {
      row.opened.remove();
      row.detail.close();
      row.opened = row.detail = undefined;
      return;
    }
    row.detail = this.detail(row.item);
    row.opened = el('tr', { class: 'detail' }, el('td', { colspan: this.columns.length }, row.detail.element));
    row.element.after(row.opened);
  }
}

// compare sorts items without a value last.
function compare(a, b) {
  if (a == null || b == null) return (a == null) - (b == null);
  return typeof a === 'number' ? a - b : collator.compare(a, b);
}

// number, plain, name, long and action make columns. by gives the value that
// they are sorted by: the shown text, where that is a text.
export const number = (by, write, bad) => ({ by, text: (item) => write(by(item)), numeric: true, class: (item) => (bad?.(item) ? 'n bad' : 'n') });
export const plain = (by, className) => ({ by, text: by, class: className });
export const name = (by) => ({ by, text: by, head: true });
export const long = (column) => ({ ...column, long: true, class: (item) => `long ${column.class?.(item) ?? ''}` });
export const action = (words, label, act) => ({ text: () => words, label, button: act });
