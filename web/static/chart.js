// A card with one or two lines over the last minutes, drawn as SVG.

import { el, svg, text } from './dom.js';

const WIDTH = 300;
const HEIGHT = 72;
const LONGEST = 300_000; // ms, of the time axis
const SHORTEST = 60_000;
const DESCRIBE = 15_000; // ms between two descriptions for those who hear the page

export class Chart {
  // lines are {name, field, write}; the first has the large figure.
  constructor(title, lines) {
    this.title = title;
    this.lines = lines;
    this.described = 0;
    this.pointed = false; // whether the readout shows what is under the pointer
    this.figures = lines.map(() => el('b'));
    this.paths = lines.map((_, i) => svg('path', { class: `line line${i}` }));
    this.area = svg('path', { class: 'area' });
    this.cursor = svg('line', { class: 'cursor', y1: 0, y2: HEIGHT, hidden: true });
    this.svg = svg('svg', {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': title,
    },
    svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2 }),
    svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
    this.area, ...this.paths.toReversed(), this.cursor);
    this.top = el('span', { class: 'top' });
    this.readout = el('span', { class: 'when' });
    this.element = el('article', { class: 'card' },
      el('h3', {}, title),
      el('p', { class: 'figures' }, ...lines.map((line, i) =>
        el('span', { class: `figure figure${i}` }, this.figures[i], el('span', { class: 'key' }, line.name)))),
      el('div', { class: 'plot' }, this.svg, this.top),
      el('p', { class: 'axis' }, this.readout));
    this.svg.addEventListener('pointermove', (e) => this.point(e));
    this.svg.addEventListener('pointerleave', () => this.unpoint());
  }

  // draw shows points, the oldest first; each is an object with at and the fields.
  draw(points, now) {
    this.points = points;
    this.now = now;
    this.span = Math.min(LONGEST, Math.max(SHORTEST, now - (points[0]?.at ?? now)));
    if (!this.pointed) this.unpoint();
    const values = this.lines.map((line) => points.map((p) => p[line.field]));
    const top = ceiling(Math.max(0, ...values.flat().filter((v) => v != null)));
    this.lines.forEach((line, i) => {
      text(this.figures[i], line.write(points.at(-1)?.[line.field]));
      this.paths[i].setAttribute('d', this.path(values[i], top));
    });
    this.area.setAttribute('d', this.fill(values[0], top));
    text(this.top, top > 0 ? this.lines[0].write(top) : '');
    if (now - this.described > DESCRIBE) {
      this.described = now;
      this.svg.setAttribute('aria-label', this.describe(values));
    }
  }

  x(at) { return WIDTH * (1 - (this.now - at) / this.span); }

  // path leaves a gap where a value is missing.
  path(values, top) {
    let d = '';
    let pen = false;
    values.forEach((v, i) => {
      const x = this.x(this.points[i].at);
      if (v == null || x < -2) {
        pen = false;
        return;
      }
      d += `${pen ? 'L' : 'M'}${x.toFixed(1)} ${height(v, top)}`;
      // A value with gaps on both sides would be invisible.
      if (!pen && values[i + 1] == null) d += 'h0.6';
      pen = true;
    });
    return d;
  }

  fill(values, top) {
    let d = '';
    let from = null;
    values.forEach((v, i) => {
      const x = this.x(this.points[i].at);
      if (v == null || x < -2) return;
      if (from == null) {
        from = x;
        d = `M${x.toFixed(1)} ${HEIGHT}`;
      }
      d += `L${x.toFixed(1)} ${height(v, top)}`;
      if (i === values.length - 1 || values[i + 1] == null) {
        d += `L${x.toFixed(1)} ${HEIGHT}`;
      }
      if (values[i + 1] == null) d += nextStart(values, i, this);
    });
    return d;
  }

  describe(values) {
    const said = this.lines.map((line, i) => {
      const some = values[i].filter((v) => v != null);
      if (some.length === 0) return `${line.name}: nothing yet`;
      return `${line.name}: now ${line.write(values[i].at(-1))}, lowest ${line.write(Math.min(...some))}, highest ${line.write(Math.max(...some))}`;
    });
    return `${this.title}. ${said.join('. ')}.`;
  }

  // point shows the values under the pointer.
  point(event) {
    if (!this.points?.length) return;
    this.pointed = true;
    const box = this.svg.getBoundingClientRect();
    const at = this.now - this.span * (1 - (event.clientX - box.left) / box.width);
    const nearest = this.points.reduce((a, b) => (Math.abs(b.at - at) < Math.abs(a.at - at) ? b : a));
    const x = this.x(nearest.at);
    this.cursor.removeAttribute('hidden');
    this.cursor.setAttribute('x1', x);
    this.cursor.setAttribute('x2', x);
    const values = this.lines.map((line) => `${line.name} ${line.write(nearest[line.field])}`);
    text(this.readout, `${new Date(nearest.at).toLocaleTimeString()}: ${values.join(', ')}`);
  }

  unpoint() {
    this.cursor.setAttribute('hidden', '');
    this.pointed = false;
    const minutes = this.span / 60_000;
    text(this.readout, minutes < 1.5 ? 'last minute' : `last ${Math.round(minutes)} minutes`);
  }
}

const height = (v, top) => (top > 0 ? HEIGHT - 1 - (HEIGHT - 4) * Math.min(v / top, 1) : HEIGHT - 1).toFixed(1);

// nextStart moves an area that was interrupted to where it goes on.
function nextStart(values, i, chart) {
  for (let n = i + 1; n < values.length; n++) {
    if (values[n] != null) return `M${chart.x(chart.points[n].at).toFixed(1)} ${HEIGHT}`;
  }
  return '';
}

// ceiling is a round number that nothing is above.
function ceiling(v) {
  if (v <= 0) return 0;
  const unit = 10 ** Math.floor(Math.log10(v));
  for (const step of [1, 1.5, 2, 3, 4, 5, 6, 8]) {
    if (v <= step * unit) return step * unit;
  }
  return 10 * unit;
}
