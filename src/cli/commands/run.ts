import { needsLabel } from "../advice/needs-label.ts";
import { writeFileSync } from "node:fs";
import { Failure, type Client, type CreateDocument } from "../../../sdk/src/index.ts";
import { UsageError, type Command, type Invocation } from "../command.ts";
import type { Flags } from "../flags.ts";
import { printLine, tell } from "../output.ts";
import { withModuleFile } from "../module-file.ts";
import { withImage } from "../pull.ts";
import { exitCodeOf, reportFailure } from "../report.ts";
import { createDocument, type Joined } from "../specs/create-document.ts";
import { RUN_OPTIONS } from "../specs/run-options.ts";
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "../terminal/detach-keys.ts";
import { findScreenSize } from "../terminal/screen.ts";
import { beginSession, requireTerminalInput } from "../terminal/session.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  description:
    "Make a workload from an image, start it, and join its output. The exit code is the workload's own; 125 says that Bulkhead failed, 126 that the command cannot run, 127 that there is no such command.",
  options: RUN_OPTIONS,
  examples: [
    { command: "bulkhead run --rm busybox echo hello", says: "a container, gone when it has ended" },
    { command: "bulkhead run --rm --isolation microvm busybox uname -r", says: "the same image with a kernel of its own" },
    { command: "bulkhead run --rm -it busybox sh", says: "a shell with a real terminal" },
    { command: "bulkhead run -d --name web -p 8080:80 --memory 64m --cpus 0.5 busybox httpd -f -h /www", says: "in the background, with limits and a port" },
  ],
  least: 1,
  stopsAtArgument: true,
  completes: "images",
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { flags, args, client } = invocation;
  const joined = joinedStreams(flags);
  const terminal = flags.on("tty");
  const detachKeys = flags.text("detach-keys") ?? DEFAULT_DETACH_KEYS;
  parseDetachKeys(detachKeys);
  const base = await withModuleFile(client, createDocument(flags, args, joined, await needsLabel(flags)));
  const size = terminal ? findScreenSize() : undefined;
  const document: CreateDocument = size === undefined ? base : { ...base, HostConfig: { ...base.HostConfig, ConsoleSize: [size.rows, size.columns] } };
  requireTerminalInput(terminal, joined.stdin);
  const wanted = { image: document.Image, when: flags.text("pull") ?? "missing", platform: flags.text("platform"), quiet: flags.on("quiet") };
  const request: RunRequest = {
    client,
    document,
    name: flags.text("name"),
    platform: wanted.platform,
    joined,
    detachKeys,
    proxySignals: !flags.given("sig-proxy") || flags.on("sig-proxy"),
  };
  try {
    if (flags.on("detach")) return await withImage(client, wanted, () => runDetached(request, flags.text("cidfile")));
    if (isOneRoundTrip(flags)) return await withImage(client, wanted, () => runNatively(request));
    return await withImage(client, wanted, () => runByConversation(request, flags.text("cidfile")));
  } catch (thrown) {
    reportFailure(thrown, "run");
    return exitCodeOf(thrown, 125);
  }
}

interface RunRequest {
  readonly client: Client;
  readonly document: CreateDocument;
  readonly name: string | undefined;
  readonly platform: string | undefined;
  readonly joined: Joined;
  readonly detachKeys: string;
  readonly proxySignals: boolean;
}

function joinedStreams(flags: Flags): Joined {
  if (flags.on("detach")) {
    if (flags.given("attach")) throw new UsageError("--detach and --attach cannot both be given");
    return { stdin: false, stdout: false, stderr: false };
  }
  const named = flags.list("attach").map((name) => name.toLowerCase());
  const strange = named.find((name) => !["stdin", "stdout", "stderr"].includes(name));
  if (strange !== undefined) throw new UsageError(`--attach takes stdin, stdout or stderr, not ${JSON.stringify(strange)}`);
  if (named.length === 0) return { stdin: flags.on("interactive"), stdout: true, stderr: true };
  return { stdin: named.includes("stdin"), stdout: named.includes("stdout"), stderr: named.includes("stderr") };
}

/** What one request can say: a file for the id and a policy that starts it again need the longer conversation. */
function isOneRoundTrip(flags: Flags): boolean {
  return !flags.given("cidfile") && !flags.given("restart") && !flags.given("attach");
}

async function runDetached({ client, document, name, platform }: RunRequest, idFile: string | undefined): Promise<number> {
  const id = await create({ client, document, name, platform }, idFile);
  await client.workloads.start(id);
  printLine(id);
  return 0;
}

async function create(request: Pick<RunRequest, "client" | "document" | "name" | "platform">, idFile: string | undefined): Promise<string> {
  const made = await request.client.workloads.create(request.document, { name: request.name, platform: request.platform });
  if (idFile !== undefined) writeIdFile(idFile, made.Id);
  for (const warning of made.Warnings ?? []) tell(`WARNING: ${warning}`);
  return made.Id;
}

/** Docker refuses a file that is there: it may be another workload's. */
export function writeIdFile(path: string, id: string): void {
  try {
    writeFileSync(path, id, { flag: "wx" });
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    throw new UsageError(
      code === "EEXIST" ? `the id file ${JSON.stringify(path)} is there already` : `cannot write the id file ${JSON.stringify(path)} (${code})`,
      "remove it, or name another with --cidfile",
    );
  }
}

async function runNatively(request: RunRequest): Promise<number> {
  const { client, document, joined } = request;
  let begun: Awaited<ReturnType<Client["run"]>>;
  try {
    begun = await client.run(document, { name: request.name, platform: request.platform });
  } catch (thrown) {
    // A server without the native part says so as Docker does for a path that it does not know.
    if (thrown instanceof Failure && thrown.code === "NOT_FOUND" && thrown.message.includes("page not found")) return runByConversation(request, undefined);
    throw thrown;
  }
  void begun.created.then(({ warnings }) => warnings.forEach((warning) => tell(`WARNING: ${warning}`))).catch(() => undefined);
  const terminal = document.Tty ?? false;
  // A terminal that does not run yet takes no size: told again when it does.
  const size = terminal ? findScreenSize() : undefined;
  if (size !== undefined) void begun.started.then(() => begun.resizeTerminal(findScreenSize() ?? size)).catch(() => undefined);
  const session = beginSession({
    attached: begun,
    terminal,
    stdin: joined.stdin,
    detachKeys: request.detachKeys,
    resize: (size) => begun.resizeTerminal(size),
    ...(request.proxySignals ? { signal: (name: string) => begun.signal(name) } : {}),
  });
  if ((await session.done) === "detached") return 0;
  return (await begun.ended).code;
}

/** Docker's own conversation: create, attach, wait, start. */
async function runByConversation(request: RunRequest, idFile: string | undefined): Promise<number> {
  const { client, document, joined } = request;
  const terminal = document.Tty ?? false;
  const id = await create(request, idFile);
  const attached = await client.workloads.attach(id, { ...joined, terminal });
  const removes = document.HostConfig?.AutoRemove ?? false;
  const { ended } = await client.workloads.wait(id, { condition: removes ? "removed" : "next-exit" });
  try {
    await client.workloads.start(id);
  } catch (thrown) {
    attached.close();
    if (removes) await client.workloads.remove(id, { force: true, volumes: true }).catch(() => undefined);
    throw thrown;
  }
  const session = beginSession({
    attached,
    terminal,
    stdin: joined.stdin,
    detachKeys: request.detachKeys,
    resize: (size) => client.workloads.resizeTerminal(id, size),
    ...(request.proxySignals ? { signal: (name: string) => client.workloads.kill(id, name) } : {}),
  });
  if ((await session.done) === "detached") return 0;
  return (await ended).StatusCode;
}
