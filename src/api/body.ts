/** Request bodies: read once, bounded in size and time, validated before anybody uses them. */

import type { IncomingMessage } from "node:http";
import type { TSchema, Static } from "@sinclair/typebox";
import { TypeCompiler, type TypeCheck } from "@sinclair/typebox/compiler";
import { Failure, quote } from "../contract/failure.ts";
import type { Exchange } from "./exchange.ts";

/** Far more than any document of the API needs; a deeper one would exhaust the stack of whoever walks it. */
const MOST_LEVELS = 64;
export const MAX_JSON_BYTES = 4 * 1024 * 1024;
const BODY_DEADLINE_MS = 30_000;

/** Compiles once; reading costs under a microsecond then. */
export function shape<T extends TSchema>(schema: T): Shape<T> {
  return { check: TypeCompiler.Compile(schema) };
}

export interface Shape<T extends TSchema> {
  readonly check: TypeCheck<T>;
}

/** The JSON body; an absent one is `{}`. Rejects INVALID_SPEC naming the place that is wrong. */
export async function readJson<T extends TSchema>(exchange: Exchange, wanted: Shape<T>): Promise<Static<T>> {
  const bytes = await readBody(exchange);
  return parseJson(bytes, wanted);
}

export function parseJson<T extends TSchema>(bytes: Buffer, wanted: Shape<T>): Static<T> {
  let value: unknown = {};
  if (bytes.length > 0) {
    if (isDeeper(bytes, MOST_LEVELS)) throw new Failure("INVALID_SPEC", `the request body is nested deeper than ${MOST_LEVELS} levels`);
    try {
      value = JSON.parse(bytes.toString("utf8"));
    } catch (cause) {
      throw new Failure("INVALID_SPEC", `the request body is not JSON: ${(cause as Error).message}`, { cause });
    }
  }
  // JSON can write one only so; nothing that the kernel is told of (paths, names, arguments) may hold one.
  if (bytes.includes("\\u0000")) refuseZeroBytes(value, "");
  if (wanted.check.Check(value)) return value;
  const first = wanted.check.Errors(value).First();
  const place = first?.path.replaceAll("/", ".").replace(/^\./, "") ?? "";
  throw new Failure("INVALID_SPEC", `invalid request body: ${place === "" ? "" : `${quote(place)}: `}${first?.message ?? "wrong shape"}`);
}

/** Brackets outside of texts, counted before anybody builds what they mean. */
function isDeeper(bytes: Buffer, most: number): boolean {
  let level = 0;
  let inText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (inText && byte === 0x5c) at++;
    else if (byte === 0x22) inText = !inText;
    else if (!inText && (byte === 0x7b || byte === 0x5b) && ++level > most) return true;
    else if (!inText && (byte === 0x7d || byte === 0x5d)) level--;
  }
  return false;
}

function refuseZeroBytes(value: unknown, place: string): void {
  if (typeof value === "string" && value.includes("\0"))
    throw new Failure("INVALID_SPEC", `invalid request body: ${quote(place.slice(1))} holds a zero byte`, { remedy: "Take it out: texts end at a zero byte." });
  if (typeof value !== "object" || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    refuseZeroBytes(name, `${place}.a name`);
    refuseZeroBytes(part, `${place}.${name}`);
  }
}

/** The whole body, also where the client asked for an upgrade in the same request. */
export async function readBody(exchange: Exchange): Promise<Buffer> {
  exchange.bodyTaken = true;
  const announced = Number(exchange.request.headers["content-length"] ?? 0);
  if (announced > MAX_JSON_BYTES) throw tooLarge();
  if (exchange.upgradeHead !== undefined) return readUpgradeBody(exchange, announced);
  if (announced === 0 && exchange.request.headers["transfer-encoding"] === undefined) return Buffer.alloc(0);
  return collectBody(exchange.request);
}

/** Leaves the request as it is when it gives up: the answer still has to go out on its connection. */
async function collectBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  await new Promise<void>((resolve, reject) => {
    const settle = (failure?: Failure) => {
      clearTimeout(deadline);
      request.removeListener("data", take);
      if (failure === undefined) resolve();
      else reject(failure);
    };
    const take = (chunk: Buffer) => {
      length += chunk.length;
      if (length > MAX_JSON_BYTES) settle(tooLarge());
      else chunks.push(chunk);
    };
    const deadline = setTimeout(() => settle(tooSlow()), BODY_DEADLINE_MS);
    request.on("data", take);
    request.once("end", () => settle());
    request.once("close", () => settle(new Failure("CONNECTION_LOST", "the connection closed within the request body")));
  });
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}

/**
 * The body of an upgrade request. Node up to 24 leaves it on the socket, later versions give it through the request; what
 * comes after it belongs to the conversation that follows, and stays in `upgradeHead`.
 */
async function readUpgradeBody(exchange: Exchange, length: number): Promise<Buffer> {
  const { socket, request } = exchange;
  let seen = exchange.upgradeHead ?? Buffer.alloc(0);
  if (seen.length < length) {
    await new Promise<void>((resolve, reject) => {
      const take = (chunk: Buffer) => {
        seen = Buffer.concat([seen, chunk]);
        if (seen.length >= length) finish();
      };
      const finish = (failure?: Failure) => {
        clearTimeout(deadline);
        socket.pause();
        for (const source of [socket, request]) {
          source.removeListener("data", take);
          source.removeListener("close", lost);
        }
        if (failure) reject(failure);
        else resolve();
      };
      const lost = () => finish(new Failure("CONNECTION_LOST", "the connection closed within the request body"));
      const deadline = setTimeout(() => finish(tooSlow()), BODY_DEADLINE_MS);
      socket.on("data", take);
      socket.on("close", lost);
      request.on("data", take);
    });
  }
  exchange.upgradeHead = seen.subarray(length);
  return seen.subarray(0, length);
}

function tooSlow(): Failure {
  return new Failure("TIMED_OUT", "the request body did not arrive within 30 seconds");
}

function tooLarge(): Failure {
  return new Failure("INVALID_SPEC", `the request body is larger than ${MAX_JSON_BYTES} bytes`);
}
