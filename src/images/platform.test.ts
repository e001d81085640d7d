import { expect, test } from "vitest";
import { HOST_PLATFORM, parsePlatform, platformText, selectPlatform } from "./platform.ts";

const of = (...names: string[]) => names.map((name) => ({ platform: parsePlatform(name) }));
const chosen = (names: string[], wanted: string) => {
  const found = selectPlatform(of(...names), parsePlatform(wanted));
  return found?.platform === undefined ? undefined : platformText(found.platform);
};

test("aliases are understood and nonsense is refused", () => {
  expect(platformText(parsePlatform("linux/x86_64"))).toBe("linux/amd64");
  expect(platformText(parsePlatform("aarch64"))).toBe("linux/arm64");
  expect(parsePlatform(undefined)).toBe(HOST_PLATFORM);
  for (const text of ["linux/a/b/c", "linux/", "li nux/amd64"]) expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: "INVALID_SPEC" }));
});

test("the exact variant wins, then the nearest lower one, and never a higher one", () => {
  expect(chosen(["linux/amd64", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v7")).toBe("linux/arm/v7");
  expect(chosen(["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7")).toBe("linux/arm/v6");
  expect(chosen(["linux/arm/v7"], "linux/arm/v6")).toBeUndefined();
  expect(chosen(["linux/arm64"], "linux/arm64/v8")).toBe("linux/arm64");
  expect(chosen(["windows/amd64", "linux/amd64"], "linux/amd64")).toBe("linux/amd64");
  expect(chosen(["linux/s390x"], "linux/amd64")).toBeUndefined();
  expect(selectPlatform([{}], HOST_PLATFORM)).toBeUndefined();
});
