// A card with one or two lines over the last minutes, drawn as SVG in the
// available pixels.

import { el, svg, text } from './dom.js';
import { linear, logarithmic, timeTicks } from './scale.js';

const AXIS = 14; // pixels below the plot, for the times
const GUTTER = 54; // left of it, for the values
const NARROW = 220; // a plot that has no room for a gutter
const LONGEST = 300_000; // ms, of the time axis
const SHORTEST = 60_000;
const DESCRIBE = 15_000; // ms between two descriptions for those who hear the page
const PAGE = 15; // points that Page Up and Page Down go

const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const exact = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });

export class Chart {
  // lines are {name, field, write, look}; the first has the large figure, and an
  // area unless the scale is logarithmic.
  constructor(title, lines, { log = false } = {}) {
    this.title = title;
    this.lines = lines;
    this.log = log;
    this.points = [];
    this.described = 0;
    this.chosen = null; // the time of the point that is looked at, null for the latest
    this.figures = lines.map(() => el('b'));
    this.when = el('span', { class: 'when' });
    this.drawing = svg('svg', { 'aria-hidden': 'true' });
    // A slider, because screen readers leave it the arrow keys, and read it out when
    // its value changes.
    this.plot = el('div', { class: 'plot', role: 'slider', tabindex: 0, 'aria-label': `${title} over time`, 'aria-valuenow': 0, 'aria-valuetext': 'nothing yet' }, this.drawing);
    this.element = el('article', { class: 'card' },
      el('div', { class: 'top' },
        el('h3', {}, title, this.when),
        el('p', { class: 'figures' }, ...lines.map((line, i) =>
          el('span', { class: `figure ${line.look}` }, this.figures[i], el('span', { class: 'key' }, line.name))))),
      this.plot);
    this.plot.addEventListener('pointermove', (e) => this.point(e));
    this.plot.addEventListener('pointerleave', () => this.choose(null));
    this.plot.addEventListener('keydown', (e) => this.press(e));
    this.plot.addEventListener('blur', () => this.choose(null));
    new ResizeObserver(() => this.redraw()).observe(this.plot);
  }

  // draw shows points, the oldest first; each is an object with at and the fields.
  draw(points, now) {
    this.points = points;
    this.now = now;
    this.redraw();
    if (this.chosen !== null || now - this.described < DESCRIBE) return;
    this.described = now;
    this.plot.setAttribute('aria-valuetext', this.describe());
  }

  redraw() {
    const { clientWidth: width, clientHeight } = this.plot;
    if (this.points.length === 0 || width === 0) return;
    this.span = Math.min(LONGEST, Math.max(SHORTEST, this.now - this.points[0].at));
    this.left = width < NARROW ? 0 : GUTTER;
    this.width = width;
    this.height = clientHeight - AXIS;
    this.seen = this.points.filter((p) => p.at >= this.now - this.span);
    const values = this.seen.flatMap((p) => this.lines.map((line) => p[line.field])).filter((v) => v != null);
    this.scale = (this.log ? logarithmic : linear)(values);
    this.drawing.replaceChildren(...this.grid(), ...this.times(),
      ...(this.log ? [] : [svg('path', { class: `area ${this.lines[0].look}`, d: this.path(this.lines[0].field, true) })]),
      ...this.lines.toReversed().map((line) => svg('path', { class: `line ${line.look}`, d: this.path(line.field) })),
      ...this.cursor());
    this.tell();
  }

  x(at) { return this.left + (this.width - this.left - 1) * (1 - (this.now - at) / this.span); }

  // y leaves room above the highest value for its label, which is there where
  // there is no gutter.
  y(v) { return this.height - (this.height - 12) * this.scale.place(v); }

  grid() {
    const ticks = this.left ? this.scale.ticks : this.scale.ticks.slice(-1);
    return ticks.flatMap((v) => {
      const y = Math.round(this.y(v)) - 0.5;
      const label = { class: 'tick', x: this.left ? this.left - 6 : 0, y: this.left ? y + 4 : y - 3, 'text-anchor': this.left ? 'end' : 'start' };
      return [svg('line', { class: 'grid', x1: this.left, x2: this.width, y1: y, y2: y }), svg('text', label, this.lines[0].write(v))];
    });
  }

  times() {
    return timeTicks(this.now - this.span, this.now, (this.width - this.left) / 64).map((at) =>
      svg('text', { class: 'tick', x: this.x(at), y: this.height + AXIS - 2, 'text-anchor': 'middle' },
        (at % 60_000 ? exact : clock).format(at)));
  }

  // path leaves a gap where a value is missing.
  path(field, filled) {
    let d = '';
    let open = null; // where the piece that is drawn began
    const close = (x) => {
      if (filled && open !== null) d += `L${x} ${this.height}L${open} ${this.height}Z`;
      open = null;
    };
    let last = 0;
    for (const p of this.seen) {
      if (p[field] == null) {
        close(last);
        continue;
      }
      const x = this.x(p.at).toFixed(1);
      // The stroke's round ends make a dot of a value with gaps on both sides.
      d += open === null ? `M${x} ${this.y(p[field]).toFixed(1)}h0` : `L${x} ${this.y(p[field]).toFixed(1)}`;
      open ??= x;
      last = x;
    }
    close(last);
    return d;
  }

  describe() {
    const said = this.lines.map(({ name, field, write }) => {
      const some = this.seen.map((p) => p[field]).filter((v) => v != null);
      if (some.length === 0) return `${name}: nothing yet`;
      return `${name}: now ${write(this.seen.at(-1)[field])}, lowest ${write(Math.min(...some))}, highest ${write(Math.max(...some))}`;
    });
    return said.join('. ');
  }

  // A point is selected by pointer, or by the keys of a slider.

  get looked() { return this.chosen === null ? undefined : this.seen.find((p) => p.at === this.chosen); }

  point(event) {
    if (!this.seen?.length) return;
    const at = this.now - this.span * (1 - (event.clientX - this.plot.getBoundingClientRect().left - this.left) / (this.width - this.left));
    this.choose(this.seen.reduce((a, b) => (Math.abs(b.at - at) < Math.abs(a.at - at) ? b : a)).at);
  }

  press(event) {
    if (!this.seen?.length) return;
    const last = this.seen.length - 1;
    const here = this.looked ? this.seen.indexOf(this.looked) : last;
    const to = {
      ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1,
      PageDown: here - PAGE, PageUp: here + PAGE, Home: 0, End: last, Escape: null,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(to === null ? null : this.seen[Math.min(last, Math.max(0, to))].at);
  }

  choose(at) {
    if (at === this.chosen) return;
    this.chosen = at;
    this.described = 0;
    if (this.points.length > 0) this.redraw();
  }

  cursor() {
    if (!this.looked) return [];
    const x = this.x(this.looked.at);
    return [svg('line', { class: 'cursor', x1: x, x2: x, y1: 0, y2: this.height }),
      ...this.lines.filter(({ field }) => this.looked[field] != null).map(({ field, look }) =>
        svg('circle', { class: `dot ${look}`, cx: x, cy: this.y(this.looked[field]), r: 3 }))];
  }

  // tell writes the figures of the selected point, or the latest.
  tell() {
    const shown = this.looked ?? this.seen.at(-1);
    if (!shown) return;
    this.lines.forEach((line, i) => text(this.figures[i], line.write(shown[line.field])));
    text(this.when, this.looked ? exact.format(shown.at) : '');
    if (!this.looked) return;
    const values = this.lines.map(({ name, field, write }) => `${name} ${write(shown[field])}`);
    this.plot.setAttribute('aria-valuetext', `${exact.format(shown.at)}: ${values.join(', ')}`);
    this.plot.setAttribute('aria-valuenow', Math.round((shown.at - this.now) / 1000));
  }
}
