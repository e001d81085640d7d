import { expect, it } from "vitest";
import { readConfiguration } from "./configuration.ts";
import { parseManifest } from "./manifest.ts";
import { selectForHost } from "./platform.ts";
import { isModule, MODULE_COMMAND, MODULE_MEDIA, writeModuleConfiguration } from "./wasm-artifact.ts";

const digest = `sha256:${"ab".repeat(32)}`;

it("the artifact's configuration is read as CNCF's layout has it, and ours is one of them", () => {
  const cncf = { created: "2024-01-01T00:00:00Z", architecture: "wasm", os: "wasip2", layerDigests: [digest], component: { exports: ["wasi:cli/run"] } };
  for (const document of [cncf, writeModuleConfiguration(digest, "2024-01-01T00:00:00Z")]) {
    const read = readConfiguration(document as Parameters<typeof readConfiguration>[0]);
    expect(read.diffIds).toEqual([digest]);
    expect(read.configuration.entrypoint).toEqual([MODULE_COMMAND]);
    expect(read.configuration.architecture).toBe("wasm");
  }
});

it("a manifest may have a module as its layer, and other foreign layers are refused still", () => {
  const manifest = (mediaType: string) =>
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        config: { mediaType: MODULE_MEDIA.configuration, digest, size: 2 },
        layers: [{ mediaType, digest, size: 3 }],
      }),
    );
  expect(parseManifest(manifest("application/wasm")).kind).toBe("image");
  expect(() => parseManifest(manifest("application/javascript"))).toThrow(/layer of type/);
});

it("of an index the host's own program is taken, and a module only where there is none", () => {
  const item = (os: string, architecture: string) => ({ platform: { os, architecture } });
  const own = item("linux", process.arch === "arm64" ? "arm64" : "amd64");
  expect(selectForHost([item("wasi", "wasm"), own])).toBe(own);
  const [first, second] = [item("wasip1", "wasm"), item("wasip2", "wasm")];
  expect(selectForHost([first, second, item("linux", "s390x")])).toBe(second);
  expect(selectForHost([item("linux", "s390x")])).toBeUndefined();
});

it("a module is known by its first four bytes", () => {
  expect(isModule(Buffer.from("0061736d01000000", "hex"))).toBe(true);
  expect(isModule(Buffer.from("1f8b08", "hex"))).toBe(false);
  expect(isModule(Buffer.alloc(0))).toBe(false);
});
