import { expect, test } from "vitest";
import { applyChanges } from "./changes.ts";

test("each instruction changes its field as a Dockerfile's would", () => {
  expect(
    applyChanges([
      'cmd ["a", "b"]',
      "ENTRYPOINT run me",
      "ENV A=1",
      "ENV A=2 B=\"x y\" C='z'",
      "ENV OLD form with spaces",
      "WORKDIR /a",
      "WORKDIR b",
      "USER 1:2",
      "STOPSIGNAL SIGINT",
    ]),
  ).toEqual({
    Cmd: ["a", "b"],
    Entrypoint: ["/bin/sh", "-c", "run me"],
    Env: ["A=2", "B=x y", "C=z", "OLD=form with spaces"],
    WorkingDir: "/a/b",
    User: "1:2",
    StopSignal: "SIGINT",
  });
});

test("ports, labels and volumes are sets", () => {
  expect(applyChanges(["EXPOSE 80 53/UDP", "EXPOSE 080", 'LABEL a=1 b.c="d=e"\nVOLUME /x /y', 'VOLUME ["/z"]'])).toEqual({
    ExposedPorts: { "80/tcp": {}, "53/udp": {} },
    Labels: { a: "1", "b.c": "d=e" },
    Volumes: { "/x": {}, "/y": {}, "/z": {} },
  });
});

test.each(["RUN rm -rf /", "FROM x", "CMD", "EXPOSE http", "EXPOSE 70000", "LABEL =x", "nonsense"])("%j is refused by name", (change) => {
  expect(() => applyChanges([change])).toThrow(expect.objectContaining({ code: "INVALID_SPEC" }));
});
