// The only way to make and fill elements. Everything that comes from outside
// becomes a text node or an attribute, never HTML.

const SVG = 'http://www.w3.org/2000/svg';

export const byId = (id) => document.getElementById(id);

// el makes an element. Attributes that are undefined or false are left out.
export function el(tag, attributes = {}, ...children) {
  return complete(document.createElement(tag), attributes, children);
}

// svg is el for elements of drawings.
export function svg(tag, attributes = {}, ...children) {
  return complete(document.createElementNS(SVG, tag), attributes, children);
}

function complete(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

// text sets an element's text if it differs, which spares the layout.
export function text(element, value) {
  const next = String(value ?? '');
  if (element.textContent !== next) element.textContent = next;
}

// Table keeps a table's body equal to a list. Rows are kept by key, so that
// focus and selection survive an update.
export class Table {
  // columns are {text(item), [class(item)], [head], [button: {label(item), do(item)}]}.
  constructor(id, key, columns, empty) {
    this.body = byId(id).tBodies[0];
    this.key = key;
    this.columns = columns;
    this.rows = new Map();
    this.none = el('tr', { class: 'none' }, el('td', { colspan: columns.length }, empty));
    this.body.append(this.none);
  }

  show(items) {
    const kept = new Map();
    let at = this.body.firstElementChild;
    if (at === this.none) at = at.nextElementSibling;
    for (const item of items) {
      const key = this.key(item);
      if (kept.has(key)) continue;
      const row = this.rows.get(key) ?? this.make();
      row.item = item;
      this.fill(row);
      kept.set(key, row);
      if (row.element === at) at = at.nextElementSibling;
      else this.body.insertBefore(row.element, at);
    }
    for (const [key, row] of this.rows) {
      if (!kept.has(key)) row.element.remove();
    }
    this.rows = kept;
    this.none.hidden = kept.size > 0;
  }

  make() {
    const row = { cells: [] };
    row.element = el('tr');
    for (const column of this.columns) {
      const cell = column.head ? el('th', { scope: 'row' }) : el('td');
      if (column.button) {
        row.button = el('button', { type: 'button', class: 'small' });
        row.button.addEventListener('click', () => column.button.do(row.item));
        cell.append(row.button);
      }
      row.cells.push(cell);
      row.element.append(cell);
    }
    return row;
  }

  fill(row) {
    this.columns.forEach((column, i) => {
      const cell = row.cells[i];
      if (column.button) {
        text(row.button, column.button.text);
        row.button.setAttribute('aria-label', column.button.label(row.item));
        return;
      }
      text(cell, column.text(row.item));
      const wanted = column.class?.(row.item) ?? '';
      if (cell.className !== wanted) cell.className = wanted;
    });
  }
}

// number, plain and name make the columns that most tables have.
export const number = (show) => ({ text: show, class: () => 'n' });
export const plain = (show) => ({ text: show });
export const name = (show) => ({ text: show, head: true });
