/** Standard error: a line of progress on a terminal, and what is worth saying before the end anywhere. */

export interface Progress {
  show(done: number, all: number, name: string): void;
  clear(): void;
  /** A line that stays. */
  say(line: string): void;
}

export function createProgress(stream: NodeJS.WriteStream): Progress {
  const say = (line: string): void => void stream.write(`${line}\n`);
  if (!stream.isTTY) return { show() {}, clear() {}, say };
  const began = performance.now();
  const clear = (): void => void stream.write("\r\u001b[K");
  return {
    show(done, all, name) {
      const elapsed = (performance.now() - began) / 1000;
      const left = done > 5 ? `, about ${Math.ceil((elapsed / done) * (all - done))} s left` : "";
      stream.write(`\r\u001b[K${done}/${all} ${name}${left}`.slice(0, stream.columns + 4));
    },
    clear,
    say(line) {
      clear();
      say(line);
    },
  };
}
