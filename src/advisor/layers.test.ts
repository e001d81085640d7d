import { expect, test } from "vitest";
import { layersOf } from "./layers.ts";
import { EMULATING, VIRTUALISING } from "./testkit/hosts.ts";

const namesOf = (nesting: readonly string[]) => layersOf({ boundary: "container", engine: "", nesting }, VIRTUALISING).map(({ layer }) => layer);

test("a container stands on the host's kernel, a machine on one of its own, and a container in a machine on both walls", () => {
  expect(namesOf(["container"])).toEqual(["hardware", "host kernel", "container runtime", "libraries", "application"]);
  expect(namesOf(["microvm"])).toEqual(["hardware", "host kernel", "hypervisor", "guest kernel", "libraries", "application"]);
  expect(namesOf(["microvm", "container"])).toEqual(["hardware", "host kernel", "hypervisor", "guest kernel", "container runtime", "libraries", "application"]);
  expect(namesOf(["gvisor"])).toContain("kernel in user space");
  expect(namesOf(["wasm"])).toContain("WebAssembly engine");
});

test("who speaks to the host's kernel is told of it, and an emulated machine is called no wall", () => {
  const of = (nesting: readonly string[], layer: string, host = VIRTUALISING) =>
    layersOf({ boundary: "container", engine: "", nesting }, host).find((one) => one.layer === layer)?.shared;
  expect(of(["container"], "host kernel")).toContain("root on the host");
  expect(of(["microvm", "container"], "host kernel")).toContain("only what stands between does");
  expect(of(["microvm"], "hypervisor", EMULATING)).toContain("no wall");
  expect(of(["microvm"], "hypervisor")).not.toContain("no wall");
});
