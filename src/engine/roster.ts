/** Every workload by id and by name. The one place that writes workload records: memory and store change together. */

import { Failure, quote } from "../contract/failure.ts";
import type { Collection } from "../state/index.ts";
import type { WorkloadRecord } from "./record.ts";
import { Workload } from "./workload.ts";

export class Roster {
  private readonly records: Collection<WorkloadRecord>;
  private readonly byId = new Map<string, Workload>();
  private readonly byName = new Map<string, Workload>();

  constructor(records: Collection<WorkloadRecord>) {
    this.records = records;
  }

  /** What the store remembers, oldest first; nothing of it is on the roster yet. */
  remembered(): readonly WorkloadRecord[] {
    return [...this.records.all()].map(([, record]) => record);
  }

  /** Writes the record, and only then shows the workload. Rejects ALREADY_EXISTS for a name taken. */
  add(record: WorkloadRecord): Workload {
    this.checkFree(record.name);
    this.records.put(record.id, record);
    return this.show(record);
  }

  /** Shows a workload whose record is in the store already. */
  show(record: WorkloadRecord): Workload {
    const workload = new Workload(record);
    this.byId.set(record.id, workload);
    this.byName.set(record.name, workload);
    return workload;
  }

  /** Writes the change first: memory never says what the store does not. */
  change(workload: Workload, change: Partial<WorkloadRecord>): void {
    const next = { ...workload.record, ...change };
    this.records.put(next.id, next);
    workload.record = next;
    for (const watcher of workload.watchers) watcher();
  }

  rename(workload: Workload, name: string): void {
    this.checkFree(name);
    const old = workload.record.name;
    this.change(workload, { name });
    this.byName.delete(old);
    this.byName.set(name, workload);
  }

  /** Frees name and id; the record stays in the store until `forget`. */
  hide(workload: Workload): void {
    this.byId.delete(workload.id);
    if (this.byName.get(workload.record.name) === workload) this.byName.delete(workload.record.name);
    for (const watcher of workload.watchers) watcher();
  }

  forget(id: string): void {
    this.records.delete(id);
  }

  isTaken(name: string): boolean {
    return this.byName.has(name);
  }

  checkFree(name: string): void {
    const holder = this.byName.get(name);
    if (holder === undefined) return;
    throw new Failure("ALREADY_EXISTS", `The container name ${quote(`/${name}`)} is already in use by container ${quote(holder.id)}`, {
      workload: holder.id,
      remedy: "Remove or rename that one, or choose another name.",
    });
  }

  /** By id, by name, by an unambiguous beginning of an id: in this order. */
  get(reference: string): Workload {
    const name = reference.startsWith("/") ? reference.slice(1) : reference;
    const exact = this.byId.get(name) ?? this.byName.get(name);
    if (exact !== undefined) return exact;
    const found = name === "" ? [] : [...this.byId.values()].filter(({ id }) => id.startsWith(name));
    if (found.length > 1) throw new Failure("INVALID_SPEC", `${quote(name)} is the beginning of several ids`, { remedy: "Give more digits of the id." });
    const [only] = found;
    if (only !== undefined) return only;
    throw new Failure("NOT_FOUND", `No such container: ${name}`, { remedy: "`bulkhead ps -a` lists what there is." });
  }

  find(id: string): Workload | undefined {
    return this.byId.get(id);
  }

  /** Oldest first. */
  all(): readonly Workload[] {
    return [...this.byId.values()];
  }
}
