/** Versions of Docker's API that are spoken: clients say theirs in the path, `/v1.48/containers/json`. */

import { Failure } from "../../contract/failure.ts";

export const API_VERSION = "1.48";
export const MIN_API_VERSION = "1.24";

const newest = versionNumber(API_VERSION);
const oldest = versionNumber(MIN_API_VERSION);

/** 1.48 is 148. */
function versionNumber(text: string): number {
  const [major = "0", minor = "0"] = text.split(".");
  return Number(major) * 100 + Number(minor);
}

/** A path without version speaks the newest. Rejects INVALID_SPEC in Docker's words for one that is not spoken. */
export function readVersion(path: string): { readonly path: string; readonly apiVersion: number } {
  const prefix = /^\/v(\d{1,2}\.\d{1,2})(?=\/)/.exec(path);
  if (!prefix) return { path, apiVersion: newest };
  const text = prefix[1] as string;
  const apiVersion = versionNumber(text);
  if (apiVersion > newest) throw new Failure("INVALID_SPEC", `client version ${text} is too new. Maximum supported API version is ${API_VERSION}`);
  if (apiVersion < oldest) {
    throw new Failure(
      "INVALID_SPEC",
      `client version ${text} is too old. Minimum supported API version is ${MIN_API_VERSION}, please upgrade your client to a newer version`,
    );
  }
  return { path: path.slice(prefix[0].length), apiVersion };
}
