// The positions of values and times on the axes of a chart.

// linear begins at 0 and ends at a round number that nothing is above. place is
// between 0 and 1.
export function linear(values) {
  const top = ceiling(Math.max(0, ...values));
  return { place: (v) => v / top, ticks: [0, top / 2, top] };
}

function ceiling(v) {
  if (v <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(v));
  for (const step of [1, 1.6, 2, 3, 4, 5, 6, 8]) {
    if (v <= step * unit) return step * unit;
  }
  return 10 * unit;
}

// logarithmic spans whole powers of ten: times differ by factors.
export function logarithmic(values) {
  const some = values.filter((v) => v > 0);
  if (some.length === 0) return { place: () => 0, ticks: [] };
  const low = Math.floor(Math.log10(Math.min(...some)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...some))));
  const each = Math.ceil((high - low) / 3);
  const ticks = [];
  for (let n = high; n >= low; n -= each) ticks.unshift(10 ** n);
  return { place: (v) => (Math.log10(Math.max(v, 10 ** low)) - low) / (high - low), ticks };
}

// timeTicks are round times, not more than fit, and none at the very ends.
export function timeTicks(from, to, most) {
  const steps = [15_000, 30_000, 60_000, 120_000, 300_000];
  const step = steps.find((s) => (to - from) / s <= most) ?? steps.at(-1);
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const place = (at - from) / (to - from);
    if (place > 0.07 && place < 0.95) ticks.push(at);
  }
  return ticks;
}
