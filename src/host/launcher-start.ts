/** Starts a launcher where none answers. It outlives the daemon: detached, in a session of its own, logging to a file. */

import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "../contract/failure.ts";
import { findProgram, isExecutable } from "./host-facts.ts";
import { lastLine } from "./small-file.ts";

export interface LauncherPlaces {
  readonly root: string;
  readonly run: string;
  readonly socket: string;
  readonly log: string;
  /** The one that the operator named: no other is taken in its place. */
  readonly named?: string | undefined;
  /** Candidates in order of preference; the installed one comes last by itself. */
  readonly programs: readonly string[];
  /** Programs and read-only files that launch plans may name beside the usual ones. */
  readonly allow?: readonly string[];
  /** Somebody else starts it, systemd for instance: it is only waited for. */
  readonly managed?: boolean;
}

const DEADLINE_MS = 5000;
const INSTALLED = ["/usr/lib/bulkhead/bulkhead-launcher", "/usr/libexec/bulkhead/bulkhead-launcher"];

function chooseProgram({ named, programs }: LauncherPlaces): string {
  if (named !== undefined) {
    if (isExecutable(named)) return named;
    throw new Failure("UNAVAILABLE", `The launcher that the configuration names cannot be run: ${named}`, {
      remedy: "Mend `launcher` in the configuration, or leave it out",
    });
  }
  const found = [...programs, ...INSTALLED].find(isExecutable) ?? findProgram("bulkhead-launcher");
  if (found !== undefined) return found;
  throw new Failure("UNAVAILABLE", "The program bulkhead-launcher was not found", {
    remedy: "Build it with `npm run build`, or name it as `launcher` in the configuration",
  });
}

/** Resolves when a launcher answers on the socket. Rejects UNAVAILABLE with its last words where it does not. */
export async function startLauncher(places: LauncherPlaces): Promise<void> {
  if (places.managed === true) return awaitLauncher(places.socket);
  const program = chooseProgram(places);
  mkdirSync(dirname(places.log), { recursive: true, mode: 0o700 });
  const log = openSync(places.log, "a", 0o600);
  const allow = (places.allow ?? []).flatMap((path) => ["--allow", path]);
  let ended: string | undefined;
  try {
    const child = spawn(program, ["--root", places.root, "--run", places.run, "--socket", places.socket, ...allow], {
      cwd: "/",
      detached: true,
      stdio: ["ignore", log, log],
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    });
    child.once("error", (error) => {
      ended = error.message;
    });
    child.once("exit", (code, signal) => {
      ended = `it ended with ${signal ?? code}`;
    });
    child.unref();
  } finally {
    closeSync(log);
  }
  const deadline = performance.now() + DEADLINE_MS;
  while (performance.now() < deadline) {
    if (await answers(places.socket)) return;
    if (ended !== undefined) break;
    await sleep(5);
  }
  throw new Failure(
    "UNAVAILABLE",
    `The launcher ${program} does not answer: ${ended ?? `nothing on ${places.socket} after ${DEADLINE_MS / 1000} s`}${lastWords(places.log)}`,
    {
      remedy: `Read ${places.log}; the launcher must run as root on a host that lets it mount`,
    },
  );
}

async function awaitLauncher(socket: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await answers(socket))) {
    if (performance.now() > deadline) {
      throw new Failure("UNAVAILABLE", `No launcher answers on ${socket} after ${DEADLINE_MS / 1000} s, and another service is to start it`, {
        remedy: "systemctl restart bulkhead-launcher, and journalctl -u bulkhead-launcher for the reason",
      });
    }
    await sleep(20);
  }
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const attempt = connect(socket);
    attempt.once("connect", () => {
      attempt.destroy();
      resolve(true);
    });
    attempt.once("error", () => resolve(false));
  });
}

function lastWords(log: string): string {
  try {
    const last = lastLine(log);
    return last === "" ? "" : ` (${last.slice(0, 200)})`;
  } catch {
    return "";
  }
}
