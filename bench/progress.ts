/** A line of progress on a terminal's standard error; nothing elsewhere. */

export interface Progress {
  show(done: number, all: number, name: string): void;
  clear(): void;
}

export function createProgress(stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY) return { show() {}, clear() {} };
  const began = performance.now();
  return {
    show(done, all, name) {
      const elapsed = (performance.now() - began) / 1000;
      const left = done > 5 ? `, about ${Math.ceil((elapsed / done) * (all - done))} s left` : "";
      stream.write(`\r\u001b[K${done}/${all} ${name}${left}`.slice(0, stream.columns + 4));
    },
    clear() {
      stream.write("\r\u001b[K");
    },
  };
}
