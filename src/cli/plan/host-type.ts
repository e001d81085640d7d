import type { PlanQuestion } from "../../../sdk/src/index.ts";
import { parseBytes } from "../format/quantity.ts";
import { readCount, readPairs } from "./pairs.ts";

/** `cpus=16,memory=64g,disk=500g,price=120`. */
export function readHostType(text: string): NonNullable<PlanQuestion["host"]> {
  const pairs = readPairs(text, "--host", ["name", "cpus", "memory", "disk", "price", "reserve"]);
  const bytes = (key: string) => (pairs.has(key) ? parseBytes(pairs.get(key) ?? "", `--host ${key}`) : undefined);
  const [cpus, price, memory, disk, reserve] = [pairs.get("cpus"), pairs.get("price"), bytes("memory"), bytes("disk"), bytes("reserve")];
  return {
    name: pairs.get("name") ?? text,
    ...(cpus === undefined ? {} : { cpus: readCount(cpus, "--host cpus") }),
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(disk === undefined ? {} : { diskBytes: disk }),
    ...(price === undefined ? {} : { pricePerMonth: price === "0" ? 0 : readCount(price, "--host price") }),
    ...(reserve === undefined ? {} : { reservedMemoryBytes: reserve }),
  };
}
