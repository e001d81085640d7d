/** Axes: where a value stands on a line, and which round values are named on it. */

export interface Scale {
  at(value: number): number;
  readonly ticks: readonly number[];
}

/** Logarithmic where the values span more than a decade, since a container and an emulated machine stand on one line. */
export function scaleOf(values: readonly number[], from: number, to: number): Scale {
  const positive = values.filter((value) => value > 0);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (positive.length === values.length && high / low > 10) return logarithmic(low, high, from, to);
  return linear(Math.min(0, low), high === low ? low + 1 : high, from, to);
}

function logarithmic(low: number, high: number, from: number, to: number): Scale {
  const [first, last] = [Math.floor(Math.log10(low) * 3) / 3, Math.ceil(Math.log10(high) * 3) / 3];
  const ticks: number[] = [];
  for (let power = Math.ceil(first - 1e-9); power <= last + 1e-9; power++) ticks.push(10 ** power);
  return { at: (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from), ticks };
}

function linear(low: number, high: number, from: number, to: number): Scale {
  const step = niceStep((high - low) / 5);
  const ticks: number[] = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) ticks.push(Number(value.toPrecision(6)));
  return { at: (value) => from + ((value - low) / (high - low)) * (to - from), ticks };
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}
