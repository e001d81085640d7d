/** How far a copy has got, on a terminal, and what it came to. On stderr: stdout may be the archive. */

import { showBytes } from "../format/quantity.ts";
import { isColourful, tell, writeAll } from "../output.ts";

const EVERY_MS = 75;

export class CopyProgress {
  transferred = 0;
  private readonly heading: string;
  private readonly quiet: boolean;
  private readonly live: boolean;
  private shownAt = 0;

  constructor(heading: string, quiet: boolean) {
    this.heading = heading;
    this.quiet = quiet;
    this.live = !quiet && isColourful(2);
  }

  /** The same bytes, counted. */
  async *count(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of archive) {
      this.transferred += bytes.length;
      this.show();
      yield bytes;
    }
  }

  /** The line that moved is gone; whatever went wrong is told below. */
  clear(): void {
    if (this.live && this.shownAt > 0) writeAll(2, Buffer.from("\r\u001b[2K"));
  }

  done(contentBytes: number, to: string): void {
    this.clear();
    if (this.quiet) return;
    const content = showBytes(contentBytes);
    const transferred = showBytes(this.transferred);
    tell(`Successfully copied ${content}${content === transferred ? "" : ` (transferred ${transferred})`} to ${to}`);
  }

  private show(): void {
    if (!this.live || performance.now() - this.shownAt < EVERY_MS) return;
    this.shownAt = performance.now();
    writeAll(2, Buffer.from(`\r\u001b[2K${this.heading} - ${showBytes(this.transferred)}`));
  }
}
