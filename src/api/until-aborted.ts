/** Reading from a stream for as long as its client is there. */

/**
 * The same elements, ending quietly when the signal aborts, even while the source has nothing to say. The source is told to
 * stop; nobody waits for it, because it may be waiting itself.
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  // Not Promise.race against one promise of the end: that would hold every element until then.
  let wake = () => {};
  const abort = () => wake();
  signal.addEventListener("abort", abort, { once: true });
  try {
    while (!signal.aborted) {
      const step = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        wake = () => resolve(undefined);
        iterator.next().then(resolve, reject);
      });
      if (step === undefined || step.done === true) return;
      yield step.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    iterator.return?.().catch(() => undefined);
  }
}
