/** Credentials for a registry, from ~/.docker/config.json and the credential programs that it names. */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { UsageError } from "./command.ts";
import { unusableFile } from "./given-file.ts";
import { askProgram, eraseByProgram, storeByProgram } from "./credential-program.ts";

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
export function findRegistryAuth(reference: string, directory = configDirectory()): string | undefined {
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

/** The name under which a registry's login is kept: Docker Hub's for nothing, `docker.io` and its other names. */
export function serverAddress(given: string | undefined): string {
  const host = (given ?? "").replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return ["", "docker.io", "index.docker.io", "registry-1.docker.io"].includes(host) ? HUB : host;
}

/** By the credential program that is configured, else in the file itself, which is then its owner's alone. Where it went. */
export function keepLogin(server: string, username: string, password: string, directory = configDirectory()): string {
  const path = join(directory, "config.json");
  const config = readConfig(path) ?? {};
  const program = config.credHelpers?.[server] ?? config.credsStore;
  if (program !== undefined) {
    storeByProgram(program, server, username, password);
    return `docker-credential-${program}`;
  }
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  writeConfig(path, { ...config, auths: { ...config.auths, [server]: { auth } } });
  return path;
}

/** False where nothing was kept. */
export function forgetLogin(server: string, directory = configDirectory()): boolean {
  const path = join(directory, "config.json");
  const config = readConfig(path);
  if (config === undefined) return false;
  const program = config.credHelpers?.[server] ?? config.credsStore;
  const inProgram = program !== undefined && askProgram(program, server) !== undefined;
  if (program !== undefined && inProgram) eraseByProgram(program, server);
  const { [server]: known, ...others } = config.auths ?? {};
  if (known !== undefined) writeConfig(path, { ...config, auths: others });
  return inProgram || known !== undefined;
}

/** Whole or not at all: a reader never meets half of it. */
function writeConfig(path: string, config: DockerConfig): void {
  const partial = `${path}.${process.pid}.partial`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(partial, `${JSON.stringify(config, undefined, "\t")}\n`, { mode: 0o600 });
    renameSync(partial, path);
  } catch (thrown) {
    throw unusableFile("write", path, thrown);
  }
}

function configDirectory(): string {
  return process.env["DOCKER_CONFIG"] ?? join(homedir(), ".docker");
}
