import { expect, test } from "vitest";
import { readConfiguration } from "./configuration.ts";
import { digestOf } from "./digest.ts";

test("what a builder leaves out or writes as null is empty", () => {
  const { configuration, createdAt } = readConfiguration({
    architecture: "amd64",
    os: "linux",
    config: { Cmd: null, Env: null, Labels: null, Volumes: null },
    rootfs: { type: "layers", diff_ids: null },
  });
  expect(configuration).toEqual({
    architecture: "amd64",
    os: "linux",
    entrypoint: [],
    command: [],
    environment: [],
    workingDirectory: "",
    user: "",
    labels: {},
    exposedPorts: [],
    volumes: [],
  });
  expect(createdAt).toBe("0001-01-01T00:00:00Z");
});

test("history, health check and stop signal are read", () => {
  const read = readConfiguration({
    config: { StopSignal: "SIGQUIT", Healthcheck: { Test: ["CMD", "x"], Interval: 5, Retries: 2 } },
    rootfs: { type: "layers", diff_ids: [digestOf("x")] },
    history: [{ created_by: "RUN x", empty_layer: true }, {}],
  });
  expect(read.configuration).toMatchObject({ stopSignal: "SIGQUIT", healthCheck: { test: ["CMD", "x"], intervalNs: 5, retries: 2 } });
  expect(read.history).toEqual([{ createdBy: "RUN x", emptyLayer: true }, { emptyLayer: false }]);
});

test.each([
  [{ rootfs: { type: "unknown" } }, "UNSUPPORTED"],
  [{ rootfs: { type: "layers", diff_ids: ["../../x"] } }, "CORRUPT_DATA"],
  [{ rootfs: { type: "layers" }, config: { Cmd: "sh" } }, "CORRUPT_DATA"],
  [{ rootfs: { type: "layers" }, config: { Env: [1] } }, "CORRUPT_DATA"],
  [{ rootfs: { type: "layers" }, config: { Labels: { a: 1 } } }, "CORRUPT_DATA"],
])("%j is refused", (document, code) => {
  expect(() => readConfiguration(document)).toThrow(expect.objectContaining({ code }));
});
