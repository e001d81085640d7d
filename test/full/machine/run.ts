/**
 * Boots the emulated Debian machine with this checkout's build on its second disk, prints a verdict per check as it comes, and keeps them.
 *
 *     node test/full/machine/run.ts [--parts "install limits …"] [--keep FILE]
 *
 * Exit 0 when every check passed and the last one was reached. `FILE` gets the verdicts, the date and the versions.
 */

import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const checkout = resolve(import.meta.dirname, "../../..");
/** Eight minutes on an idle host; a busy one is not at fault. */
const DEADLINE_MS = 45 * 60_000;
/** What the product disk carries of the checkout; of node_modules everything but what only checks the sources. */
const CARRIED = ["bin", "dist", "LICENSE", "package.json", "packaging", "scripts", "sdk", "src", "test", "tsconfig.json", "vitest.config.ts"];
const NOT_NEEDED = ["@biomejs", "@oxlint", "@oxlint-tsgolint", "oxlint", "typescript", "knip", "@docker", "@oxc-parser", "@oxc-resolver"];

const { values } = parseArgs({ options: { parts: { type: "string", default: "all" }, keep: { type: "string" } } });
const work = mkdtempSync(join(tmpdir(), "bulkhead-machine-"));
try {
  process.exitCode = await main();
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function main(): Promise<number> {
  const base = execFileSync("sh", [join(import.meta.dirname, "base.sh")], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
  const product = makeProductDisk();
  const began = Date.now();
  const lines: string[] = [];
  const ended = await boot(base, product, (line) => {
    lines.push(line);
    console.log(line);
  });
  const passed = lines.filter((line) => line.startsWith("ok ")).length;
  const failed = lines.filter((line) => line.startsWith("FAILED ")).length;
  const whole = lines.includes("# end of checks");
  if (!whole) console.log(`FAILED the machine reached the end of its checks (${ended})\n${tail(join(work, "console"), 30)}`);
  const verdict = `${passed} passed, ${failed + (whole ? 0 : 1)} failed in ${Math.round((Date.now() - began) / 1000)} s, emulated (TCG), boot included`;
  console.log(verdict);
  if (values.keep !== undefined) keep(values.keep, [verdict, "", ...lines]);
  return failed === 0 && whole ? 0 : 1;
}

/** An ext4 file without a mount: mkfs copies the tree. */
function makeProductDisk(): string {
  const stage = join(work, "stage");
  mkdirSync(join(stage, "node_modules"), { recursive: true });
  for (const name of CARRIED) execFileSync("cp", ["-a", join(checkout, name), stage]);
  const excluded = NOT_NEEDED.map((name) => `--exclude=./${name}`);
  execFileSync("sh", ["-c", `tar -C "$1" ${excluded.join(" ")} -cf - . | tar -C "$2" -xf -`, "-", join(checkout, "node_modules"), join(stage, "node_modules")]);
  execFileSync(process.execPath, [join(checkout, "scripts/fixtures/busybox-image.ts"), join(stage, "busybox.tar")]);
  writeFileSync(join(stage, "parts"), values.parts);
  const disk = join(work, "product.ext4");
  execFileSync("truncate", ["-s", "1G", disk]);
  execFileSync("mkfs.ext4", ["-q", "-F", "-O", "^has_journal", "-d", stage, disk]);
  rmSync(stage, { recursive: true });
  return disk;
}

function drive(file: string, more: string): string[] {
  return ["-drive", `file=${file},format=raw,if=virtio,${more}`];
}

/** Runs the machine to its end, handing on each line that its checks say; resolves with how it ended. */
async function boot(base: string, product: string, hear: (line: string) => void): Promise<string> {
  const words = join(work, "words");
  writeFileSync(words, "");
  const machine = spawn(
    "qemu-system-x86_64",
    [
      ...["-nodefaults", "-display", "none", "-no-reboot", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "4096"],
      ...["-kernel", join(base, "vmlinuz"), "-initrd", join(base, "initrd")],
      ...["-append", "console=ttyS0 quiet mitigations=off systemd.unified_cgroup_hierarchy=1"],
      ...drive(join(base, "root.ext4"), "snapshot=on"),
      ...drive(product, "readonly=on"),
      ...["-device", "virtio-rng-pci", "-serial", `file:${join(work, "console")}`, "-serial", `file:${words}`],
    ],
    { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, TMPDIR: work } },
  );
  let ended: string | undefined;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => machine.kill("SIGKILL"));
  machine.once("exit", (code, signal) => (ended = `QEMU ended with ${signal ?? code}`));
  machine.once("error", (error) => (ended = error.message));
  const deadline = Date.now() + DEADLINE_MS;
  const file = openSync(words, "r");
  let rest = "";
  for (;;) {
    const last = ended !== undefined;
    const chunk = Buffer.alloc(64 * 1024);
    for (let count = readSync(file, chunk); count > 0; count = readSync(file, chunk)) rest += chunk.toString("utf8", 0, count);
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) hear(line.replace(/\r$/, ""));
    if (last) break;
    if (Date.now() > deadline) machine.kill("SIGKILL");
    await sleep(200);
  }
  closeSync(file);
  return ended ?? "";
}

function tail(path: string, count: number): string {
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-count).join("\n");
}

function keep(path: string, lines: readonly string[]): void {
  const commit = execFileSync("git", ["-C", checkout, "describe", "--always", "--dirty=, with changes"], { encoding: "utf8" }).trim();
  const head = [
    `Checks inside an emulated Debian 12 with control groups v2, systemd and AppArmor: test/full/machine/run.ts`,
    `${new Date().toISOString()}, commit ${commit}, parts: ${values.parts}`,
  ];
  mkdirSync(dirname(resolve(checkout, path)), { recursive: true });
  writeFileSync(resolve(checkout, path), `${[...head, ...lines].join("\n")}\n`);
}
