import { expect, test } from "vitest";
import { HEADER_BYTES, joinExtents } from "./vmdk.ts";

test("layers follow the zeros in order, and their offsets say where", () => {
  const { descriptor, offsetsBytes } = joinExtents("/s/header", [
    { path: "/s/a", lengthBytes: 4096 },
    { path: "/s/b", lengthBytes: 8192 },
  ]);
  expect(offsetsBytes).toEqual([HEADER_BYTES, HEADER_BYTES + 4096]);
  expect(descriptor.split("\n").filter((line) => line.startsWith("RW"))).toEqual(['RW 2048 FLAT "/s/header" 0', 'RW 8 FLAT "/s/a" 0', 'RW 16 FLAT "/s/b" 0']);
});

test("no line is blank before the extents, because QEMU would then take the first one twice", () => {
  const lines = joinExtents("/h", [{ path: "/a", lengthBytes: 512 }]).descriptor.split("\n");
  expect(
    lines.slice(
      0,
      lines.findLastIndex((line) => line.startsWith("RW")),
    ),
  ).not.toContain("");
});

test("lengths that are no whole sectors and paths that would break out of their line are refused", () => {
  expect(() => joinExtents("/h", [{ path: "/a", lengthBytes: 513 }])).toThrow("whole sectors");
  expect(() => joinExtents("/h", [{ path: "/a", lengthBytes: 0 }])).toThrow("whole sectors");
  expect(() => joinExtents("/h", [{ path: '/a" 0\nRW 1 FLAT "/etc/shadow', lengthBytes: 512 }])).toThrow("cannot stand");
});
