/** Figures as people read them: three significant digits and a unit that fits. */

const TIMES = [
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
] as const;

const SIZES = [
  [1e9, "GB"],
  [1e6, "MB"],
  [1e3, "kB"],
  [1, "B"],
] as const;

export function formatFigure(value: number | null, unit: string): string {
  if (value === null || Number.isNaN(value)) return "–";
  if (unit === "s") return scaled(value, TIMES);
  if (unit === "ns") return scaled(value * 1e-9, TIMES);
  if (unit === "bytes") return scaled(value, SIZES);
  if (unit === "%") return `${threeDigits(value)} %`;
  return threeDigits(value);
}

function scaled(value: number, steps: readonly (readonly [number, string])[]): string {
  const [step, name] = steps.find(([size]) => Math.abs(value) >= size) ?? (steps.at(-1) as readonly [number, string]);
  return `${threeDigits(value / step)} ${name}`;
}

function threeDigits(value: number): string {
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 2));
}
