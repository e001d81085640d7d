/** Request bodies: read once, bounded in size and time, validated before anybody uses them. */

import type { IncomingMessage } from "node:http";
import type { TSchema, Static } from "@sinclair/typebox";
import { TypeCompiler, type TypeCheck } from "@sinclair/typebox/compiler";
import { Failure, quote } from "../contract/failure.ts";
import type { Exchange } from "./exchange.ts";

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
    try {
      value = JSON.parse(bytes.toString("utf8"));
    } catch (cause) {
      throw new Failure("INVALID_SPEC", `the request body is not JSON: ${(cause as Error).message}`, { cause });
    }
  }
  if (wanted.check.Check(value)) return value;
  const first = wanted.check.Errors(value).First();
  const place = first?.path.replaceAll("/", ".").replace(/^\./, "") ?? "";
  throw new Failure("INVALID_SPEC", `invalid request body: ${place === "" ? "" : `${quote(place)}: `}${first?.message ?? "wrong shape"}`);
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
