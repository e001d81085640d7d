/** Columns as Docker's client sets them: at least ten wide, three blanks between, the last one as it is. */

const LEAST_WIDTH = 10;
const GAP = 3;

export function layOut(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? LEAST_WIDTH, widthOf(cell) + GAP)));
  return rows
    .map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - widthOf(cell)))).join(""))
    .join("\n");
}

/** Colours take no room. */
function widthOf(cell: string): number {
  // oxlint-disable-next-line no-control-regex
  return Array.from(cell.replace(/\u001b\[[0-9;]*m/g, "")).length;
}
