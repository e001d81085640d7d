/** Progress of pull, push and load as lines of JSON, the way Docker's client draws its bars. */

import type { Failure } from "../../contract/failure.ts";
import type { TransferProgress } from "../../images/index.ts";
import type { Exchange } from "../exchange.ts";
import { errorBody } from "../status.ts";

/**
 * Lines are held back until one of them names a layer: before that, a failure can still be an HTTP status, which is what
 * clients expect for an image that is not there.
 */
export class ProgressLines {
  readonly #exchange: Exchange;
  #held: string[] = [];
  #begun = false;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  get begun(): boolean {
    return this.#begun;
  }

  step(step: TransferProgress): void {
    const bar = step.current === undefined && step.total === undefined ? {} : { progressDetail: detail(step), progress: drawBar(step) };
    this.line({ status: step.status, ...(step.layer === undefined ? {} : { id: step.layer }), ...bar });
    if (step.layer !== undefined) this.begin();
  }

  line(document: object): void {
    const text = `${JSON.stringify(document)}\r\n`;
    if (this.#begun) this.#exchange.response.write(text);
    else this.#held.push(text);
  }

  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#exchange.begin(200, "application/json");
    for (const text of this.#held) this.#exchange.response.write(text);
    this.#held = [];
  }

  end(): void {
    this.begin();
    this.#exchange.response.end();
  }

  /**
   * The last line of an answer whose status is already out: Docker's words, and ours beside them. Not among them: in Docker's `errorDetail` a
   * `code` is a number, its client ends at any other, and in place of the sentence of a 401 it says one of its own.
   */
  fail(failure: Failure): void {
    const body = errorBody(failure);
    this.line({ errorDetail: { message: body.message }, error: body.message, failure: body });
    this.end();
  }
}

function detail({ current, total }: TransferProgress): object {
  return { ...(current === undefined ? {} : { current }), ...(total === undefined ? {} : { total }) };
}

const BAR_CELLS = 50;

/** For clients that print `progress` as it is: `[=====>     ]  1.2MB/3.4MB`. */
function drawBar({ current = 0, total = 0 }: TransferProgress): string {
  if (total <= 0) return humanSize(current);
  const filled = Math.min(BAR_CELLS, Math.floor((current / total) * BAR_CELLS));
  const bar = filled < BAR_CELLS ? `${"=".repeat(filled)}>${" ".repeat(BAR_CELLS - filled - 1)}` : "=".repeat(BAR_CELLS);
  return `[${bar}] ${humanSize(current).padStart(8)}/${humanSize(total)}`;
}

function humanSize(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 1000) return `${Number(value.toPrecision(4))}${unit}`;
    value /= 1000;
  }
  return `${Number(value.toPrecision(4))}TB`;
}
