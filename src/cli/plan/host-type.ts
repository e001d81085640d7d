import type { PlannedHost } from "../../../sdk/src/index.ts";
import { isRecord, readDocument } from "../advice/documents.ts";
import { UsageError } from "../command.ts";
import { parseBytes } from "../format/quantity.ts";
import { readCount, readPairs } from "./pairs.ts";

/** `cpus=16,memory=64g,disk=500g,price=120`. */
export function readHostType(text: string, called = "--host"): PlannedHost {
  const pairs = readPairs(text, called, ["name", "cpus", "memory", "disk", "price", "reserve"]);
  const bytes = (key: string) => (pairs.has(key) ? parseBytes(pairs.get(key) ?? "", `${called} ${key}`) : undefined);
  const [cpus, price, memory, disk, reserve] = [pairs.get("cpus"), pairs.get("price"), bytes("memory"), bytes("disk"), bytes("reserve")];
  return {
    name: pairs.get("name") ?? text,
    ...(cpus === undefined ? {} : { cpus: readCount(cpus, `${called} cpus`) }),
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(disk === undefined ? {} : { diskBytes: disk }),
    ...(price === undefined ? {} : { pricePerMonth: price === "0" ? 0 : readCount(price, `${called} price`) }),
    ...(reserve === undefined ? {} : { reservedMemoryBytes: reserve }),
  };
}

/** `small=4,16g,100g,30`: processors, memory, disk and the price of a month. */
export function readTypeFlag(text: string): PlannedHost {
  const [, name, cpus, memory, disk, price] = /^([^=]+)=([^,]+),([^,]+),([^,]+),([^,]+)$/.exec(text) ?? [];
  if (name === undefined || cpus === undefined || memory === undefined || disk === undefined || price === undefined)
    throw new UsageError(`--host-type does not understand ${JSON.stringify(text)}`, "it takes NAME=CPUS,MEMORY,DISK,PRICE, as in small=4,16g,100g,30");
  return readHostType(`name=${name},cpus=${cpus},memory=${memory},disk=${disk},price=${price}`, "--host-type");
}

/** A list of `{name, cpus, memory, disk, price, reserve}` with sizes as the flags have them, or the same below `hostTypes`. */
export async function readTypeFile(path: string): Promise<readonly PlannedHost[]> {
  const document = await readDocument(path);
  const listed = isRecord(document) ? document["hostTypes"] : document;
  if (!Array.isArray(listed)) throw new UsageError(`${path} holds no list of host types`, "a list of {name, cpus, memory, disk, price}, as JSON or YAML");
  return listed.map((one: unknown, index) => {
    const given = isRecord(one) ? Object.entries(one).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`) : [];
    if (given.length === 0) throw new UsageError(`${path}: the host type ${index + 1} is no object`, "{name, cpus, memory, disk, price}");
    return readHostType(given.join(","), `${path}: host type ${index + 1},`);
  });
}
