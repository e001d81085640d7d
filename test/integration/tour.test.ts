/** Every command of the README's minute's tour, as it stands there, on a real daemon; nothing but the socket's place is another. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findClientVersion } from "../docker-compat/stock-client.ts";
import { CHECKOUT, run, TestDaemon } from "../harness/daemon.ts";
import { readShownCommands } from "../harness/shown-commands.ts";
import { readBaseline } from "./chaos/inhabitants.ts";

/** What is shown as a command below the heading. */
function readTour(): string[] {
  const [, rest = ""] = readFileSync(join(CHECKOUT, "README.md"), "utf8").split(/^## A minute's tour$/m);
  const [section = ""] = rest.split(/^## /m);
  return readShownCommands(section, ["bin/bulkhead", "docker"]);
}

const tour = readTour();
const stockClient = findClientVersion();
if (stockClient === undefined) console.log("tour: the README's commands by the stock client are left out, because there is no docker client on PATH");
/** What can be typed on this host. */
const typable = tour.filter((command) => stockClient !== undefined || !command.startsWith("docker "));
/** What is shown where it is sure what it will be. */
const SHOWN: readonly (readonly [RegExp, RegExp])[] = [
  [/ echo hello$/, /^hello\n$/],
  [/exec web cat/, /It works/],
  [/ ps$/, /\bweb\b/],
  [/\.Boundary/, /"kind":"microvm"/],
  [/^docker .*--runtime microvm/, /^\d+\.\d+\S*\n$/],
  [/compare --brief$/, /start to first byte[\s\S]*What the textbooks claim/],
  [/advise --trust untrusted/, /microvm/],
  [/--isolation auto/, /^chosen\n$/],
];

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.open();
  await readBaseline(daemon);
});
afterAll(() => daemon.close());

it("has commands, with run, exec and rm among them", () => {
  expect(tour.length).toBeGreaterThan(5);
  for (const [which] of SHOWN) expect(tour.filter((command) => which.test(command)).length, String(which)).toBeGreaterThan(0);
  for (const verb of ["run", "exec", "rm"]) expect(tour.join("\n")).toMatch(new RegExp(`^bin/bulkhead ${verb} `, "m"));
});

it("runs to its end, command by command, and leaves nothing behind", async () => {
  const before = await readBaseline(daemon);
  const figures = join(daemon.root, "here.json");
  for (const command of typable) {
    // As a reader types it: in the checkout, on the daemon that is there.
    const typed = command.replace("/run/bulkhead/bulkhead.sock", daemon.socket).replace("here.json", figures);
    const outcome = await run("sh", ["-c", `cd ${CHECKOUT} && ${typed}`], { BULKHEAD_HOST: daemon.host }, { timeoutMs: 180_000 });
    expect(outcome, command).toMatchObject({ code: 0 });
    for (const [which, shown] of SHOWN) if (which.test(command)) expect(outcome.stdout, command).toMatch(shown);
  }
  const validate = new Ajv2020().compile(JSON.parse(readFileSync(join(CHECKOUT, "docs/compare.schema.json"), "utf8")) as object);
  validate(JSON.parse(readFileSync(figures, "utf8")));
  expect(validate.errors, "what compare writes is what its published schema says").toBeNull();
  expect(await daemon.client.workloads.list({ all: true })).toEqual([]);
  expect(await daemon.settledTraces(before)).toEqual(before);
}, 400_000);
