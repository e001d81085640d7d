import { expect, test } from "vitest";
import { FRAME_KIND, type FrameKind, MAX_PAYLOAD_BYTES } from "../contract/frame.ts";
import { encodeFrame, encodeMessage, FrameDecoder, parseMessage } from "./frame-codec.ts";

type Seen = [kind: FrameKind, process: number, text: string];

function decodeInPieces(bytes: Buffer, size: number): Seen[] {
  const seen: Seen[] = [];
  const decoder = new FrameDecoder((kind, process, payload) => seen.push([kind, process, payload.toString()]));
  for (let at = 0; at < bytes.length; at += size) decoder.push(bytes.subarray(at, at + size));
  expect(decoder.empty).toBe(true);
  return seen;
}

test("frames come out whole however the bytes were cut", () => {
  const bytes = Buffer.concat([
    encodeMessage({ id: 1, verb: "hello" }),
    encodeFrame(FRAME_KIND.stdout, 7, Buffer.from("some output")),
    encodeFrame(FRAME_KIND.end, 7, Buffer.from([2])),
    encodeFrame(FRAME_KIND.stderr, 4_000_000_000, Buffer.alloc(0)),
  ]);
  const whole = decodeInPieces(bytes, bytes.length);
  expect(whole).toEqual([
    [FRAME_KIND.message, 0, '{"id":1,"verb":"hello"}'],
    [FRAME_KIND.stdout, 7, "some output"],
    [FRAME_KIND.end, 7, "\u0002"],
    [FRAME_KIND.stderr, 4_000_000_000, ""],
  ]);
  for (let size = 1; size < bytes.length; size++) expect(decodeInPieces(bytes, size)).toEqual(whole);
});

test("a frame longer than the wire allows is refused before its bytes are held", () => {
  const header = Buffer.alloc(9);
  header.writeUInt32LE(MAX_PAYLOAD_BYTES + 1, 0);
  expect(() => new FrameDecoder(() => {}).push(header)).toThrow(/announced 1048577 bytes/);
});

test("an unknown kind is refused", () => {
  const header = Buffer.alloc(9);
  header.writeUInt8(6, 4);
  expect(() => new FrameDecoder(() => {}).push(header)).toThrow(/unknown kind 6/);
});

test("a cut connection is told from one that ended between frames", () => {
  const decoder = new FrameDecoder(() => {});
  decoder.push(encodeMessage({}).subarray(0, 5));
  expect(decoder.empty).toBe(false);
});

test("a message that is not a JSON object is refused", () => {
  for (const text of ["", "[]", "null", "7", '"x"', "{"]) expect(() => parseMessage(Buffer.from(text)), text).toThrow(/message arrived/);
  expect(parseMessage(Buffer.from('{"a":1}'))).toEqual({ a: 1 });
});

test("a message too long for one frame says so before anything is sent", () => {
  expect(() => encodeMessage({ text: "x".repeat(MAX_PAYLOAD_BYTES) })).toThrow(/at most 1048576/);
});
