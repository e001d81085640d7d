import { Failure, type Client } from "../../../sdk/src/index.ts";
import { readArchive } from "../archive-input.ts";
import { UsageError, type Command } from "../command.ts";
import { CopyProgress } from "../copy/copy-progress.ts";
import { findBase, findLanding, meansInside, readArgument, type Destination } from "../copy/copy-rules.ts";
import { findLocalDestination } from "../copy/local-destination.ts";
import { findLocalSource, measureLocal, packLocal } from "../copy/local-source.ts";
import { unpackLocal } from "../copy/unpack.untrusted.ts";
import { clean, isTerminal, tell, writeAll } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS] [WORKLOAD:]SRC_PATH|- [WORKLOAD:]DEST_PATH|-",
  description:
    "Copy files between a workload, running or not, and here. `-` is a tar archive on stdin or stdout. SRC_PATH/. is what lies in a directory, without it. " +
    "Files that come out are yours; links in them are made and never followed. After an interruption whole files stay, and no half of one.",
  options: [
    { name: "archive", short: "a", kind: "flag", help: "Keep owners and set-user-id bits, where you may" },
    { name: "follow-link", short: "L", kind: "flag", help: "Copy what a link at SRC_PATH leads to" },
    { name: "quiet", short: "q", kind: "flag", help: "Say nothing; so it is where stdout is no terminal" },
  ],
  examples: [
    { command: "bulkhead cp web:/var/log/app.log .", says: "a file out, to here" },
    { command: "bulkhead cp site/. web:/srv/www", says: "what lies in a directory, into another" },
    { command: "bulkhead cp web:/etc - | tar -t", says: "an archive to another program" },
  ],
  least: 2,
  most: 2,
  completes: "paths",
  run: async ({ flags, args, client }) => {
    const [from = "", to = ""] = args;
    if (from === "") throw new UsageError("source can not be empty");
    if (to === "") throw new UsageError("destination can not be empty");
    const [source, destination] = [readArgument(from), readArgument(to)];
    const interruption = watchInterruption();
    const copying: Copying = {
      client,
      archiveMode: flags.on("archive"),
      followLink: flags.on("follow-link"),
      quiet: flags.given("quiet") ? flags.on("quiet") : !isTerminal(1),
      signal: interruption.signal,
    };
    try {
      if (source.workload !== undefined && destination.workload !== undefined)
        throw new UsageError(
          "copying between containers is not supported",
          `pipe it, into a directory that is there: bulkhead cp ${from} - | bulkhead cp - ${directoryOf(to)}`,
        );
      if (source.workload !== undefined) await copyOut(copying, { workload: source.workload, path: source.path }, to);
      else if (destination.workload !== undefined) await copyIn(copying, from, { workload: destination.workload, path: destination.path });
      else throw new UsageError("must specify at least one container source", "write WORKLOAD:PATH on one side");
      return 0;
    } catch (thrown) {
      const code = interruption.code();
      if (code === undefined) throw thrown;
      tell("bulkhead: interrupted; what was copied whole stays");
      return code;
    }
  },
};

/** Where an archive goes that shall make this. */
function directoryOf(to: string): string {
  const at = to.replace(/\/+$/, "").lastIndexOf("/");
  return at <= to.indexOf(":") + 1 ? to.slice(0, to.indexOf(":") + 1) + "/" : to.slice(0, at);
}

interface Copying {
  readonly client: Client;
  readonly archiveMode: boolean;
  readonly followLink: boolean;
  readonly quiet: boolean;
  readonly signal: AbortSignal;
}

interface Inside {
  readonly workload: string;
  readonly path: string;
}

async function copyOut(copying: Copying, inside: Inside, to: string): Promise<void> {
  const { client, signal, archiveMode } = copying;
  if (to === "-" && isTerminal(1)) throw new UsageError("an archive does not belong on a terminal", "redirect the output, or name a destination");
  const destination = to === "-" ? undefined : await findLocalDestination(to);
  const path = copying.followLink ? await followLink(copying, inside) : inside.path;
  const { stat, archive } = await client.files.read(inside.workload, path, { signal });
  if (destination === undefined) {
    for await (const bytes of archive) writeAll(1, bytes);
    return;
  }
  // A link that was followed keeps its own name.
  const landing = findLanding({ isDirectory: stat.kind === "directory", base: findBase(inside.path) }, destination);
  const progress = new CopyProgress("Copying from container", copying.quiet);
  try {
    const owners = archiveMode && process.geteuid?.() === 0;
    await unpackLocal(progress.count(archive), { base: findBase(path), landing, archiveMode: owners, leftOut: tellLeftOut });
  } finally {
    progress.clear();
  }
  progress.done(stat.kind === "directory" ? progress.transferred : stat.sizeBytes, destination.path);
}

async function followLink({ client, signal }: Copying, { workload, path }: Inside): Promise<string> {
  const stat = await client.files.stat(workload, path, { signal }).catch(acceptMissing);
  if (stat?.kind !== "symlink") return path;
  return meansInside(path) ? `${stat.linkTarget}/.` : path.endsWith("/") ? `${stat.linkTarget}/` : stat.linkTarget;
}

async function copyIn(copying: Copying, from: string, inside: Inside): Promise<void> {
  const { client, signal, archiveMode } = copying;
  const { workload } = inside;
  if (inside.path === "") throw new UsageError(`${JSON.stringify(`${workload}:`)} names no path`, `write ${workload}:/ for the root`);
  const local = from === "-" ? undefined : await findLocalSource(from, copying.followLink);
  const destination = await findInside(copying, inside);
  const options = { keepKinds: true, copyOwners: archiveMode, signal };
  const progress = new CopyProgress("Copying to container", copying.quiet);
  try {
    if (local === undefined) {
      if (destination.kind !== "directory")
        throw new UsageError(
          `destination "${workload}:${inside.path}" must be a directory`,
          "an archive has names of its own: name the directory that they go into",
        );
      await client.files.write(workload, destination.path, progress.count(readArchive("-", undefined)), options);
    } else {
      const landing = findLanding(local, destination);
      await client.files.write(workload, landing.directory, progress.count(packLocal(local, landing.name ?? ".", tellLeftOut)), options);
    }
  } finally {
    progress.clear();
  }
  progress.done(local === undefined ? progress.transferred : await measureLocal(local), `${workload}:${destination.path}`);
}

/** What stands at the destination; a link there is followed. Whatever else is wrong is told by the copy itself, in words. */
async function findInside({ client, signal }: Copying, { workload, path }: Inside): Promise<Destination> {
  const look = (at: string) => client.files.stat(workload, at, { signal });
  try {
    const found = await look(path);
    const at = found.kind === "symlink" ? found.linkTarget : path;
    const stat = found.kind === "symlink" ? await look(at).catch(acceptMissing) : found;
    if (stat === undefined) return { path: at, kind: "absent" };
    if (stat.kind === "device" || stat.kind === "other")
      throw new UsageError(`destination "${workload}:${path}" must be a directory or a regular file`, "a device, a FIFO or a socket takes no copies");
    return { path: at, kind: stat.kind === "directory" ? "directory" : "file" };
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.code === "CANCELLED") throw thrown;
    // Rejects in words where it is the workload that is missing.
    await client.workloads.inspect(workload, { signal });
    return { path, kind: thrown.code === "NOT_FOUND" ? "absent" : "directory" };
  }
}

function acceptMissing(thrown: unknown): undefined {
  if (!(thrown instanceof Failure) || thrown.code !== "NOT_FOUND") throw thrown;
}

function tellLeftOut(path: string, why: string): void {
  tell(`bulkhead: left out ${clean(path)}: ${why} is not copied`);
}

const INTERRUPTIONS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

function watchInterruption(): { readonly signal: AbortSignal; code(): number | undefined } {
  const abort = new AbortController();
  let code: number | undefined;
  for (const [name, exit] of Object.entries(INTERRUPTIONS)) {
    process.on(name, () => {
      // Asked twice: at once.
      if (code !== undefined) process.exit(exit);
      code = exit;
      abort.abort();
    });
  }
  return { signal: abort.signal, code: () => code };
}
