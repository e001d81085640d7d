/** How pull, push and load go on: a line for each layer that stays in its place on a terminal, plain lines elsewhere. */

import type { ProgressLine } from "../../../sdk/src/index.ts";
import { showBytes } from "../format/quantity.ts";
import { clean, isColourful, writeAll } from "../output.ts";

const BAR_CELLS = 30;

export function showBar(current: number, total: number): string {
  const done = total <= 0 ? 0 : Math.min(BAR_CELLS, Math.floor((current / total) * BAR_CELLS));
  const head = done === BAR_CELLS ? "=" : ">";
  return `[${"=".repeat(Math.max(0, done - 1))}${done > 0 ? head : ""}${" ".repeat(BAR_CELLS - done)}] ${showBytes(current)}/${showBytes(total)}`;
}

/** A terminal that does not know its size says 0. */
function widthOf(stream: NodeJS.WriteStream): number {
  return stream.columns > 0 ? stream.columns : 80;
}

export class ProgressView {
  private readonly descriptor: 1 | 2;
  private readonly live: boolean;
  private readonly width: number;
  /** Rows by layer, in order of appearance. */
  private readonly rows = new Map<string, string>();
  private readonly statuses = new Map<string, string>();

  constructor(descriptor: 1 | 2, options: { readonly live?: boolean; readonly width?: number } = {}) {
    this.descriptor = descriptor;
    this.live = options.live ?? isColourful(descriptor);
    this.width = options.width ?? widthOf(descriptor === 1 ? process.stdout : process.stderr);
  }

  show(line: ProgressLine): void {
    const text = this.render(line);
    if (text !== "") writeAll(this.descriptor, Buffer.from(text));
  }

  /** What `show` would write: for the tests as well. */
  render(line: ProgressLine): string {
    if (line.stream !== undefined) return this.finished() + line.stream;
    if (line.status === undefined) return "";
    const id = line.id === undefined ? undefined : clean(line.id);
    const status = clean(line.status);
    if (id === undefined) return `${this.finished()}${status}\n`;
    if (!this.live) {
      if (this.statuses.get(id) === status) return "";
      this.statuses.set(id, status);
      return `${id}: ${status}\n`;
    }
    const { current, total } = line.progressDetail ?? {};
    const bar = current === undefined ? "" : total === undefined || total <= 0 ? ` ${showBytes(current)}` : ` ${showBar(current, total)}`;
    const text = `${id}: ${status}${bar}`.slice(0, this.width - 1);
    const known = [...this.rows.keys()].indexOf(id);
    this.rows.set(id, text);
    if (known < 0) return `${text}\n`;
    const up = this.rows.size - known;
    return `\u001b[${up}A\r\u001b[2K${text}\u001b[${up}B\r`;
  }

  /** Rows above a plain line stay where they are from now on. */
  private finished(): string {
    this.rows.clear();
    return "";
  }
}

export async function showProgress(lines: AsyncIterable<ProgressLine>, descriptor: 1 | 2, quiet: boolean): Promise<readonly ProgressLine[]> {
  const view = new ProgressView(descriptor);
  const all: ProgressLine[] = [];
  for await (const line of lines) {
    if (line.progressDetail === undefined || Object.keys(line.progressDetail).length === 0) all.push(line);
    if (!quiet) view.show(line);
  }
  return all;
}
