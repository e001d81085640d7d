/** What a saved machine depends on beside its own shape: begun from on anything else, it would be another machine than was saved. */

import { createHash } from "node:crypto";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { readHostFacts } from "../../host/host-facts.ts";
import type { GuestKernel } from "./kernels.ts";

export interface Fingerprinted {
  readonly program: string;
  readonly version: string;
  readonly kernel: GuestKernel;
  readonly kvm: boolean;
}

/** Monitor, guest kernel and init by their contents, the host's kernel and processor by their words. */
export async function fingerprint({ program, version, kernel, kvm }: Fingerprinted): Promise<string> {
  const { size, mtimeMs } = statSync(program);
  const files = await Promise.all([kernel.vmlinux, kernel.initrd].map(digestOf));
  const facts = [program, version, size, mtimeMs, ...files, kvm, readHostFacts().kernelRelease, readProcessor(readFileSync("/proc/cpuinfo", "utf8"))];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** The first processor's model and abilities, without what changes while it runs (its clock). */
export function readProcessor(text: string): string {
  const first = text.split("\n\n", 1)[0] ?? "";
  return first
    .split("\n")
    .filter((line) => /^(vendor_id|model name|cpu family|model|stepping|microcode|flags|Features|CPU (implementer|part|variant))\s*:/.test(line))
    .join("\n");
}
