/** The completion scripts in the shells that they are for, as somebody at a keyboard meets them. */

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ScriptedServer } from "../../sdk/src/testkit/scripted-server.ts";
import { BuiltCli, quoteWord } from "./testkit/built-cli.ts";
import { WORKLOAD } from "./testkit/workload.ts";

let cli: BuiltCli;
beforeAll(async () => {
  cli = await BuiltCli.build();
});
afterAll(async () => {
  await cli[Symbol.asyncDispose]();
});

/** Line that is typed before the key, and what stands there after it. */
const TYPED: readonly (readonly [string, string])[] = [
  ["bulkhead versi", "bulkhead version"],
  ["bulkhead run --isolation micr", "bulkhead run --isolation microvm"],
  ["bulkhead run --isolation=micr", "bulkhead run --isolation=microvm"],
  ["bulkhead volume prun", "bulkhead volume prune"],
  ["bulkhead stop we", "bulkhead stop web"],
  ["bulkhead load -i /etc/hostn", "bulkhead load -i /etc/hostname"],
  ["bulkhead cp we", "bulkhead cp web:"],
  ["bulkhead cp web:/srv /etc/hostn", "bulkhead cp web:/srv /etc/hostname"],
];

/** The completion script and the program under its name, as files for a shell. */
async function place(shell: string): Promise<{ readonly script: string; readonly directory: string }> {
  const directory = cli.scratch();
  writeFileSync(join(directory, "bulkhead"), `#!/bin/sh\nexec ${quoteWord(process.execPath)} ${quoteWord(cli.program)} "$@"\n`, { mode: 0o755 });
  const script = join(directory, `completion.${shell}`);
  writeFileSync(script, (await cli.run(["completion", shell])).stdout);
  return { script, directory };
}

const has = (shell: string): boolean => spawnSync(shell, ["--version"]).status === 0;
for (const shell of ["zsh", "fish"])
  if (!has(shell)) console.log(`note: no ${shell} on PATH (scripts/setup.sh --tests installs it); its completion is not tried`);

const server = (): Promise<ScriptedServer> => ScriptedServer.start({ "GET /containers/json": { json: [WORKLOAD] } });

it.skipIf(!has("fish"))(
  "fish completes verbs, options, names and files",
  async () => {
    await using daemon = await server();
    const { script, directory } = await place("fish");
    expect(spawnSync("fish", ["--no-execute", script]).stderr.toString()).toBe("");
    const file = join(directory, "ask.fish");
    writeFileSync(file, [`source ${script}`, ...TYPED.map(([line]) => `complete -C ${quoteWord(line)}`)].join("\n"));
    const { stdout, code, stderr } = await cli.startShell(`PATH=${directory}:$PATH fish --no-config ${file}`, daemon).outcome;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.trim().split("\n")).toEqual(TYPED.map(([, line]) => line.split(" ").at(-1)));
  },
  30_000,
);

it.skipIf(!has("zsh"))(
  "zsh completes verbs, options, names and files",
  async () => {
    await using daemon = await server();
    const { script, directory } = await place("zsh");
    expect(spawnSync("zsh", ["-n", script]).stderr.toString()).toBe("");
    const file = join(directory, "ask.zsh");
    // A terminal of its own: zsh completes only where somebody could type. What it shows is read until it is what is wanted.
    const tries = TYPED.map(([line, wanted]) => `try ${quoteWord(line)} ${quoteWord(wanted)}`);
    writeFileSync(
      file,
      `zmodload zsh/zpty; zpty shell zsh -f -i
until_shows() { local seen=; zpty -r shell seen "*$1*" || { print -r -- "no $1 in \${(V)seen}"; exit 1 } }
zpty -w shell 'PS1=; autoload -Uz compinit; compinit -D -u; source ${script}; echo RE""ADY'
until_shows READY
try() { zpty -w -n shell "$1"$'\\t'; until_shows "$2"; print -r -- "$2"; zpty -w -n shell $'\\x15' }
${tries.join("\n")}
zpty -d shell
`,
    );
    const { stdout, code } = await cli.startShell(`PATH=${directory}:$PATH timeout 20 zsh -f ${file}`, daemon).outcome;
    expect(stdout.trim().split("\n")).toEqual(TYPED.map(([, line]) => line));
    expect(code).toBe(0);
  },
  30_000,
);
