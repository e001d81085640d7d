import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { plainCall } from "../contract/call.ts";
import type { LauncherHello } from "../contract/launcher-protocol.ts";
import { PROTOCOL } from "../contract/protocol-version.ts";
import { LauncherClient } from "./launcher-client.ts";
import { findSandbox, type SupervisedOptions } from "./supervised-sandbox.ts";
import { FakeSupervisor } from "./testkit/fake-supervisor.ts";

interface Recorded {
  readonly ask: Record<string, unknown>;
  readonly answer: { readonly ok: Record<string, unknown> };
}
const fixture = join(import.meta.dirname, "../../test/fixtures/protocol/hello-1.json");
const recorded = JSON.parse(readFileSync(fixture, "utf8")) as { readonly launcher: Recorded; readonly supervisor: Recorded };
const { log } = plainCall();
let directory: string;
let peer: FakeSupervisor;

beforeEach(async () => {
  // A daemon of the release after this one.
  vi.spyOn(PROTOCOL, "newest", "get").mockReturnValue(2);
  directory = mkdtempSync(join(tmpdir(), "bulkhead-greeting-"));
  peer = new FakeSupervisor(join(directory, "s.sock"));
  // As the first release did: it knew its own version and no other, and no `newest`.
  peer.answer = (ask) =>
    ask.verb === "hello" && ask["version"] !== 1 ? { failure: { code: "UNSUPPORTED", what: "the supervisor speaks version 1 of the protocol" } } : "default";
  await peer.listen();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await peer.die();
  rmSync(directory, { recursive: true, force: true });
});

function optionsOf(): SupervisedOptions {
  return {
    workload: "5f3a",
    identity: { kind: "container", engine: "fake", version: "1", emulated: false, traits: [] },
    socket: peer.path,
    exitRecord: join(directory, "exit.json"),
    terminal: false,
    mainPid: undefined,
    facets: { pause: false, resize: false, top: false, files: false },
    log,
    clear: async () => {},
  };
}

test("a newer daemon adopts from a supervisor of the first release", async () => {
  peer.hello = recorded.supervisor.answer.ok;
  const found = await findSandbox(optionsOf());
  expect(found?.hello).toEqual(recorded.supervisor.answer.ok);
  expect(peer.asked[0]).toMatchObject({ verb: "hello", version: 1, newest: 2 });
  await peer.die();
});

test("a newer daemon speaks to a launcher of the first release", async () => {
  peer.hello = recorded.launcher.answer.ok;
  const client = new LauncherClient({ socket: peer.path, log });
  expect(await client.hello()).toEqual(recorded.launcher.answer.ok as unknown as LauncherHello);
  client.close();
});

test.each([0, 3])("an end that answers in version %i is refused by name", async (version) => {
  peer.hello = { ...recorded.launcher.answer.ok, version };
  const client = new LauncherClient({ socket: peer.path, log });
  await expect(client.hello()).rejects.toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining("versions 1 to 2") });
  peer.hello = { ...recorded.supervisor.answer.ok, version };
  await expect(findSandbox(optionsOf())).rejects.toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining(`version ${version}`) });
  client.close();
});
