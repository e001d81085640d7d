import fc from "fast-check";
import { expect, test } from "vitest";
import { familiar, parseReference, repositoryOf, tagKey, withDefaultTag } from "./reference.ts";

const DIGEST = `sha256:${"ab".repeat(32)}`;

test.each([
  ["alpine", "docker.io/library/alpine:latest", "alpine:latest"],
  ["alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"],
  ["docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest"],
  ["index.docker.io/user/app:1", "docker.io/user/app:1", "user/app:1"],
  ["user/app", "docker.io/user/app:latest", "user/app:latest"],
  ["localhost/app", "localhost/app:latest", "localhost/app:latest"],
  ["localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"],
  ["127.0.0.1:5000/deep/er/app", "127.0.0.1:5000/deep/er/app:latest", "127.0.0.1:5000/deep/er/app:latest"],
  ["[::1]:5000/app:1", "[::1]:5000/app:1", "[::1]:5000/app:1"],
  ["quay.io/a/b-c_d__e.f:V1.0-x", "quay.io/a/b-c_d__e.f:V1.0-x", "quay.io/a/b-c_d__e.f:V1.0-x"],
])("%s means %s and is shown as %s", (text, key, shown) => {
  const reference = withDefaultTag(parseReference(text));
  expect(tagKey(reference)).toBe(key);
  expect(familiar(reference)).toBe(shown);
});

test("a digest takes the place of the default tag", () => {
  const reference = withDefaultTag(parseReference(`app@${DIGEST}`));
  expect(familiar(reference)).toBe(`app@${DIGEST}`);
  expect(() => tagKey(reference)).toThrow("cannot be named by a digest");
  expect(parseReference(`app:1@${DIGEST}`)).toMatchObject({ tag: "1", digest: DIGEST });
});

test.each([
  "",
  "Alpine",
  "a//b",
  "-a",
  "a:",
  "a:-x",
  "a@sha256:12",
  `a@md5:${"0".repeat(32)}`,
  "a b",
  "a:b:c",
  "../etc",
  "/a",
  "a/",
  "ab".repeat(32),
  "http://x/y",
  `x/${"y".repeat(300)}`,
  "a:tag\n",
  "a\n",
])("%j is refused", (text) => {
  expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: "INVALID_SPEC", message: expect.stringContaining("invalid reference format") }));
});

test("what is shown means what it was shown for", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40, unit: fc.constantFrom(...Array.from("abz09._-/:@AB[]")) }), (text) => {
      let reference: ReturnType<typeof parseReference>;
      try {
        reference = parseReference(text);
      } catch {
        return;
      }
      const again = parseReference(familiar(reference));
      expect(repositoryOf(again)).toBe(repositoryOf(reference));
      expect(again.tag).toBe(reference.tag);
    }),
    { numRuns: 3000 },
  );
});
