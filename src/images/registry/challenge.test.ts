import { expect, test } from "vitest";
import { parseChallenges } from "./challenge.ts";

test("a bearer challenge gives realm, service and scope", () => {
  expect(parseChallenges('Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"')).toEqual([
    { scheme: "bearer", parameters: { realm: "https://auth.docker.io/token", service: "registry.docker.io", scope: "repository:a/b:pull,push" } },
  ]);
});

test("several challenges in one header are told apart", () => {
  expect(parseChallenges('Basic realm="x \\"y\\"", Bearer realm=z , service="s"')).toEqual([
    { scheme: "basic", parameters: { realm: 'x "y"' } },
    { scheme: "bearer", parameters: { realm: "z", service: "s" } },
  ]);
});

test("what cannot be read is no challenge, and takes no time", () => {
  expect(parseChallenges("")).toEqual([]);
  expect(parseChallenges('realm="x"')).toEqual([]);
  expect(parseChallenges(`Bearer ${'a="\\'.repeat(5000)}`).length).toBeLessThan(3);
});
