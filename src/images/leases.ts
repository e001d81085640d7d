/** Who keeps what from being collected: transfers keep blobs and layers by digest, workloads keep images. */

export class Leases {
  readonly #counts = new Map<string, number>();

  /** Until the returned object is disposed. */
  take(name: string): Disposable {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const left = (this.#counts.get(name) ?? 1) - 1;
        if (left === 0) this.#counts.delete(name);
        else this.#counts.set(name, left);
      },
    };
  }

  has(name: string): boolean {
    return this.#counts.has(name);
  }
}

/** A transfer's leases, given back together. */
export class LeaseBundle implements Disposable {
  readonly #leases: Leases;
  readonly #held: Disposable[] = [];

  constructor(leases: Leases) {
    this.#leases = leases;
  }

  add(name: string): void {
    this.#held.push(this.#leases.take(name));
  }

  [Symbol.dispose](): void {
    for (const lease of this.#held.splice(0)) lease[Symbol.dispose]();
  }
}
