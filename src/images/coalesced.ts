/** One piece of work per key at a time: who asks while it runs gets the same answer. */
export class Coalesced<T> {
  readonly #running = new Map<string, Promise<T>>();

  async run(key: string, work: () => Promise<T>): Promise<T> {
    const known = this.#running.get(key);
    if (known !== undefined) return await known;
    const running = work().finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    return await running;
  }
}
