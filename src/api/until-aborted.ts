/** Reading from a stream for as long as its client is there. */

/**
 * The same elements, ending quietly when the signal aborts, even while the source has nothing to say. The source is told to
 * stop; nobody waits for it, because it may be waiting itself.
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
  const abort = () => resolve(undefined);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    for (;;) {
      const step = await Promise.race([iterator.next(), aborted]);
      if (step === undefined || step.done === true) return;
      yield step.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    iterator.return?.().catch(() => undefined);
  }
}
