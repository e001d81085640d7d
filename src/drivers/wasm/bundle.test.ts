import { expect, it } from "vitest";
import type { Bundle } from "../../contract/driver.ts";
import { Failure } from "../../contract/failure.ts";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import { checkSpec, composePlan, domainOf, type WasmBundle } from "./bundle.ts";
import { WASM_TRAIT_NAMES } from "./traits.ts";

const spec = (changes: Partial<SandboxSpec> = {}): SandboxSpec => ({
  ...createTrialSpec({ workload: "ab".repeat(32), root: { form: "module", layers: [], file: "/r/module" } }),
  ...changes,
});

const main: ProcessSpec = { ...plainProcess(["/tool.wasm", "one"]), environment: ["A=1", "TAKEN_AWAY"], workingDirectory: "", stdin: true, stdinOnce: true };

function engineOf(wanted: SandboxSpec) {
  const held: WasmBundle = {
    version: 1,
    spec: wanted,
    identity: { kind: "wasm", engine: "wasmtime", version: "1", emulated: false, traits: WASM_TRAIT_NAMES },
    socket: "/s/x.sock",
  };
  const bundle: Bundle = { version: 1, kind: "wasm", workload: wanted.workload, directory: "/w", driver: held };
  const { engine } = composePlan(bundle, held, main, "/c/module.cwasm");
  if (engine.kind !== "wasm") throw new Error("another engine was written");
  return engine;
}

const refusal = (wanted: SandboxSpec): string => {
  try {
    checkSpec(wanted);
    return "accepted";
  } catch (thrown) {
    return thrown instanceof Failure ? `${thrown.code} ${thrown.remedy === undefined ? "without a remedy" : "with a remedy"}` : String(thrown);
  }
};

it("what an instance cannot carry is refused by name, with what to do instead", () => {
  const { security } = spec();
  const bad: Partial<SandboxSpec>[] = [
    { network: { kind: "host" } },
    { root: { form: "directories", layers: ["/l"] } },
    { init: true },
    { security: { ...security, privileged: true } },
    { security: { ...security, hostNamespaces: ["pid"] } },
    { security: { ...security, seccomp: { profile: "{}" } } },
    { limits: { diskBytes: 1 } },
    { limits: { cpuset: "0" } },
    { mounts: [{ kind: "bind", source: "/a", target: "/b", readOnly: true, propagation: "shared" }] },
  ];
  for (const changes of bad) expect(refusal(spec(changes)), JSON.stringify(changes)).toBe("UNSUPPORTED with a remedy");
  expect(refusal(spec({ limits: { memoryBytes: 1, cpus: 0.5, pids: 3 } }))).toBe("accepted");
});

it("two domains have neither runner nor user in common, and one domain always the same", () => {
  const of = (domain: string | undefined) => domainOf(spec(domain === undefined ? {} : { domain }));
  expect(of("uid 1")).toEqual(of("uid 1"));
  expect(of("uid 1").name).not.toBe(of("uid 2").name);
  expect(of("uid 1").uid).not.toBe(of("uid 2").uid);
  expect(of(undefined).name).not.toBe(domainOf(spec({ workload: "cd".repeat(32) })).name);
  for (const { name, uid } of [of("../../etc"), of("")]) {
    expect(name).toMatch(/^[a-z0-9]{16}$/);
    expect(uid).toBeGreaterThan(65_535);
    expect(uid).toBeLessThan(2 ** 31);
  }
});

it("a module without layers gets no root, and one in an image writes above its layers", () => {
  expect(engineOf(spec())).not.toHaveProperty("root");
  const root = { form: "module", layers: ["/l/2", "/l/1"] } as const;
  expect(engineOf(spec({ root })).root).toEqual({ lower: ["/l/2", "/l/1"], upper: "/w/written/upper", work: "/w/written/work", readOnly: false });
});

it("arguments and environment go as they are, and the limit of processor time with them", () => {
  const engine = engineOf(spec({ rlimits: [{ name: "RLIMIT_CPU", soft: 7, hard: 9 }] }));
  expect(engine).toMatchObject({ arguments: ["/tool.wasm", "one"], environment: ["A=1"], workingDirectory: "/", cpuSeconds: 7 });
  expect(engineOf(spec()).cpuSeconds).toBe(0);
});
