import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { FAILURE_CODES as contractCodes } from "../../src/contract/failure.ts";
import * as contractFrame from "../../src/contract/frame.ts";
import { RUN_UPGRADE as contractUpgrade } from "../../src/contract/run-protocol.ts";
import { FAILURE_CODES } from "./failure.ts";
import { encodeFrame, FRAME_HEADER_BYTES, FRAME_KIND, MAX_PAYLOAD_BYTES, readFrames } from "./frame.ts";
import { readJsonLines } from "./json-lines.ts";
import { demultiplex } from "./multiplex.ts";
import { RUN_UPGRADE } from "./run.ts";
import { dockerFrame } from "./testkit/scripted-server.ts";

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size);
}

describe("the SDK's own tables", () => {
  it("are those of the daemon's contract", () => {
    expect(FAILURE_CODES).toEqual(contractCodes);
    expect(FRAME_KIND).toEqual(contractFrame.FRAME_KIND);
    expect(FRAME_HEADER_BYTES).toBe(contractFrame.FRAME_HEADER_BYTES);
    expect(MAX_PAYLOAD_BYTES).toBe(contractFrame.MAX_PAYLOAD_BYTES);
    expect(RUN_UPGRADE).toBe(contractUpgrade);
  });
});

describe("joined outputs", () => {
  it("come apart the same whatever the cuts of the connection", async () => {
    const whole = Buffer.concat([dockerFrame(1, "out one\n"), dockerFrame(2, "err\n"), dockerFrame(1, ""), dockerFrame(1, "out two\n")]);
    for (const size of [1, 3, 7, 8, 9, 1000]) {
      const text = { stdout: "", stderr: "" };
      for await (const { stream, bytes } of demultiplex(chunksOf(whole, size))) text[stream] += Buffer.from(bytes).toString();
      expect(text).toEqual({ stdout: "out one\nout two\n", stderr: "err\n" });
    }
  });

  it("that end within a frame, or name an unknown stream, are no silent success", async () => {
    const drain = async (bytes: Uint8Array): Promise<void> => {
      for await (const _ of demultiplex(chunksOf(bytes, 64)));
    };
    await expect(drain(dockerFrame(1, "abc").subarray(0, 9))).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    await expect(drain(Buffer.from([9, 0, 0, 0, 0, 0, 0, 1, 65]))).rejects.toMatchObject({ code: "CORRUPT_DATA" });
  });
});

describe("frames", () => {
  it("survive any cut", async () => {
    const whole = Buffer.concat([encodeFrame(FRAME_KIND.message, Buffer.from("{}")), encodeFrame(FRAME_KIND.stdout, Buffer.alloc(5000, 7), 3)]);
    for (const size of [1, 8, 13, 4096]) {
      const seen: [number, number, number][] = [];
      for await (const frame of readFrames(chunksOf(whole, size))) seen.push([frame.kind, frame.process, frame.payload.length]);
      expect(seen).toEqual([
        [0, 0, 2],
        [2, 3, 5000],
      ]);
    }
  });

  it("of impossible length or kind end the reading", async () => {
    const drain = async (bytes: Uint8Array): Promise<void> => {
      for await (const _ of readFrames(chunksOf(bytes, 64)));
    };
    const long = Buffer.alloc(9);
    long.writeUInt32LE(MAX_PAYLOAD_BYTES + 1, 0);
    await expect(drain(long)).rejects.toMatchObject({ code: "CORRUPT_DATA" });
    await expect(drain(Buffer.from([0, 0, 0, 0, 77, 0, 0, 0, 0]))).rejects.toMatchObject({ code: "CORRUPT_DATA" });
  });
});

describe("lines of JSON", () => {
  it("are read through cuts within characters, with and without a last newline", async () => {
    const bytes = Buffer.from('{"a":"ä€"}\r\n\n{"a":2}');
    for (const size of [1, 2, 5, 100]) {
      const seen: unknown[] = [];
      for await (const line of readJsonLines(chunksOf(bytes, size))) seen.push(line);
      expect(seen).toEqual([{ a: "ä€" }, { a: 2 }]);
    }
  });

  it("that are not JSON are said to be corrupt", async () => {
    const read = async (): Promise<void> => {
      for await (const _ of readJsonLines(Readable.from([Buffer.from("<html>\n")])));
    };
    await expect(read()).rejects.toMatchObject({ code: "CORRUPT_DATA" });
  });
});
