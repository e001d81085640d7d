/** Credentials for a registry, from ~/.docker/config.json and the credential programs that it names. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { UsageError } from "./command.ts";

interface StoredAuth {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

interface DockerConfig {
  readonly auths?: Readonly<Record<string, StoredAuth>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
}

const HUB = "https://index.docker.io/v1/";

/** `localhost:5000/app:1` is of `localhost:5000`; a first part without dot, colon or `localhost` is Docker Hub's. */
export function registryOf(reference: string): string {
  const first = reference.split("/")[0] ?? "";
  return reference.includes("/") && (first.includes(".") || first.includes(":") || first === "localhost") ? first : HUB;
}

/** The header's value, base64url of JSON; undefined where nothing is stored for that registry. */
export function findRegistryAuth(reference: string, directory = process.env["DOCKER_CONFIG"] ?? join(homedir(), ".docker")): string | undefined {
  const config = readConfig(join(directory, "config.json"));
  if (config === undefined) return undefined;
  const registry = registryOf(reference);
  const program = config.credHelpers?.[registry] ?? config.credsStore;
  const found = (program === undefined ? undefined : askProgram(program, registry)) ?? stored(config.auths ?? {}, registry);
  return found === undefined ? undefined : Buffer.from(JSON.stringify({ ...found, serveraddress: registry })).toString("base64url");
}

function readConfig(path: string): DockerConfig | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text) as DockerConfig;
  } catch {
    throw new UsageError(`${path} is not JSON`, "mend or remove it; registries' passwords are kept there");
  }
}

function stored(auths: Readonly<Record<string, StoredAuth>>, registry: string): object | undefined {
  const plain = (name: string): string => name.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  const key = Object.keys(auths).find((name) => name === registry || plain(name) === plain(registry));
  const entry = key === undefined ? undefined : auths[key];
  if (entry === undefined) return undefined;
  const [username, password] = entry.auth === undefined || entry.auth === "" ? [entry.username, entry.password] : splitBasic(entry.auth);
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(entry.identitytoken === undefined ? {} : { identitytoken: entry.identitytoken }),
    ...(entry.registrytoken === undefined ? {} : { registrytoken: entry.registrytoken }),
  };
}

function splitBasic(auth: string): [string, string] {
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return [text.slice(0, colon), text.slice(colon + 1).replace(/\0+$/, "")];
}

/** The protocol of Docker's credential helpers: the registry on stdin, JSON on stdout, a failure where it knows nothing. */
function askProgram(name: string, registry: string): object | undefined {
  try {
    const answer = JSON.parse(execFileSync(`docker-credential-${name}`, ["get"], { input: registry, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] })) as {
      Username: string;
      Secret: string;
    };
    return answer.Username === "<token>" ? { identitytoken: answer.Secret } : { username: answer.Username, password: answer.Secret };
  } catch {
    return undefined;
  }
}
