// How numbers are written. Nothing here is longer than a narrow column.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const two = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });

const digits = (v) => (v >= 100 ? whole : v >= 10 ? one : two).format(v);

// count writes a whole number exactly, up to a million.
export function count(v) {
  if (v == null) return '–';
  return v < 1e6 ? whole.format(v) : scaled(v, ['', 'k', 'M', 'G', 'T', 'P'], '');
}

// rate writes things a second; a rate too small to show is 0.
export function rate(v) {
  if (v == null) return '–';
  if (v < 0.05) return '0';
  return v < 1e4 ? digits(v) : scaled(v, ['', 'k', 'M', 'G'], '');
}

// perSecond and bytesPerSecond are rates with their unit.
export const perSecond = (v) => (v == null ? '–' : `${rate(v)}/s`);
export const bytesPerSecond = (v) => (v == null ? '–' : `${bytes(v)}/s`);

export function bytes(v) {
  if (v == null) return '–';
  if (v < 0.5) return '0 B';
  return scaled(v, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'], ' ');
}

function scaled(v, units, space) {
  let n = 0;
  while (v >= 999.5 && n < units.length - 1) {
    v /= 1000;
    n++;
  }
  return digits(v) + space + units[n];
}

// seconds writes a measured duration.
export function seconds(v) {
  if (v == null) return '–';
  if (v < 0.001) return `${digits(v * 1e6)} µs`;
  if (v < 1) return `${digits(v * 1e3)} ms`;
  return `${digits(v)} s`;
}

// span writes a duration in its two largest units.
export function span(v) {
  if (v == null) return '–';
  const s = Math.floor(v);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export function ago(at, now) {
  const s = Math.max(0, Math.round((now - at) / 1000));
  return s < 2 ? 'now' : `${span(s)} ago`;
}

export function ratio(v) {
  return v == null ? '–' : `${two.format(v)}×`;
}

export const plural = (n, word) => `${count(n)} ${word}${n === 1 ? '' : 's'}`;
