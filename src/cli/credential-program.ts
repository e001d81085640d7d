/** Docker's credential helpers: `docker-credential-NAME get|store|erase`, the registry or JSON on stdin. */

import { execFileSync } from "node:child_process";
import { UsageError } from "./command.ts";

const DEADLINE_MS = 15_000;

export interface StoredCredentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly identitytoken?: string | undefined;
}

/** Undefined where the program keeps nothing for that registry; a `UsageError` where it cannot be asked. */
export function askProgram(name: string, registry: string): StoredCredentials | undefined {
  const text = runProgram(name, "get", registry);
  if (text === undefined) return undefined;
  try {
    const { Username, Secret } = JSON.parse(text) as { Username: string; Secret: string };
    return Username === "<token>" ? { identitytoken: Secret } : { username: Username, password: Secret };
  } catch {
    throw new UsageError(`docker-credential-${name} did not answer in JSON`, remedyFor(name));
  }
}

export function storeByProgram(name: string, registry: string, username: string, password: string): void {
  runProgram(name, "store", JSON.stringify({ ServerURL: registry, Username: username, Secret: password }));
}

export function eraseByProgram(name: string, registry: string): void {
  runProgram(name, "erase", registry);
}

function runProgram(name: string, verb: "get" | "store" | "erase", input: string): string | undefined {
  if (!/^[\w.-]+$/.test(name)) throw new UsageError(`${JSON.stringify(name)} is not a name of a credential program`, remedyFor(name));
  try {
    return execFileSync(`docker-credential-${name}`, [verb], {
      input,
      encoding: "utf8",
      stdio: ["pipe", "pipe", "pipe"],
      timeout: DEADLINE_MS,
      killSignal: "SIGKILL",
    });
  } catch (thrown) {
    const { code, stdout, stderr, status } = thrown as NodeJS.ErrnoException & { stdout?: string; stderr?: string; status?: number | null };
    // It answered without reading the question, and was gone before it was written.
    if (code === "EPIPE" && status === 0) return stdout;
    if (code === "ENOENT") throw new UsageError(`docker-credential-${name}, which keeps the registries' passwords, is not installed`, remedyFor(name));
    if (code === "ETIMEDOUT") throw new UsageError(`docker-credential-${name} did not answer within ${DEADLINE_MS / 1000} s`, remedyFor(name));
    const said = `${stdout ?? ""}${stderr ?? ""}`.trim();
    // The protocol's own words for "nothing is kept".
    if (/credentials not found/i.test(said)) return undefined;
    throw new UsageError(`docker-credential-${name} ${verb} failed (${status ?? code ?? "killed"}): ${said.slice(0, 200)}`, remedyFor(name));
  }
}

function remedyFor(name: string): string {
  return `mend or install docker-credential-${name.slice(0, 40)}, or take it out of credsStore and credHelpers in ~/.docker/config.json`;
}
