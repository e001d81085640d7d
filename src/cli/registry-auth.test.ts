import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { findRegistryAuth, forgetLogin, keepLogin, serverAddress } from "./registry-auth.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-login-"));
  vi.stubEnv("PATH", `${directory}:${process.env["PATH"] ?? ""}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

const config = (document: object) => writeFileSync(join(directory, "config.json"), JSON.stringify(document));
const found = (reference: string): unknown => {
  const header = findRegistryAuth(reference, directory);
  return header === undefined ? undefined : JSON.parse(Buffer.from(header, "base64url").toString());
};

/** A credential program that is a shell script. */
function program(name: string, script: string): void {
  const path = join(directory, `docker-credential-${name}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

describe("a registry's login", () => {
  it("is kept for its owner alone beside what is there, found for the registry's images, and forgotten", () => {
    config({ psFormat: "table", auths: { "other:5000": { auth: "eDp5" } } });
    expect(keepLogin("localhost:5000", "me", "secret:word", directory)).toBe(join(directory, "config.json"));
    expect(statSync(join(directory, "config.json")).mode & 0o777).toBe(0o600);
    expect(found("localhost:5000/app:1")).toEqual({ username: "me", password: "secret:word", serveraddress: "localhost:5000" });
    expect(found("busybox")).toBeUndefined();
    expect(forgetLogin("localhost:5000", directory)).toBe(true);
    expect(forgetLogin("localhost:5000", directory)).toBe(false);
    expect(JSON.parse(readFileSync(join(directory, "config.json"), "utf8"))).toEqual({ psFormat: "table", auths: { "other:5000": { auth: "eDp5" } } });
  });

  it("of Docker Hub has one name whatever it is called", () => {
    for (const name of [undefined, "docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"])
      expect(serverAddress(name)).toBe("https://index.docker.io/v1/");
    expect(serverAddress("https://registry.example.org/v2/")).toBe("registry.example.org");
  });

  it("is asked of the program that keeps it, and given to it", () => {
    config({ credsStore: "kept", credHelpers: { "special:1": "token" } });
    program(
      "kept",
      `case $1 in get) read -r server; echo "{\\"Username\\":\\"me\\",\\"Secret\\":\\"of $server\\"}";; store) cat > "${directory}/stored";; esac`,
    );
    program("token", `echo '{"Username":"<token>","Secret":"t"}'`);
    expect(found("localhost:5000/app")).toMatchObject({ username: "me", password: "of localhost:5000" });
    expect(found("special:1/app")).toMatchObject({ identitytoken: "t" });
    expect(keepLogin("localhost:5000", "me", "new", directory)).toBe("docker-credential-kept");
    expect(JSON.parse(readFileSync(join(directory, "stored"), "utf8"))).toEqual({ ServerURL: "localhost:5000", Username: "me", Secret: "new" });
  });

  it("is nobody's where the program knows none, and a program that cannot be asked is named", () => {
    config({ credsStore: "empty" });
    program("empty", "echo credentials not found in native keychain; exit 1");
    expect(found("localhost:5000/app")).toBeUndefined();
    config({ credsStore: "missing" });
    expect(() => found("localhost:5000/app")).toThrow("docker-credential-missing, which keeps the registries' passwords, is not installed");
    config({ credsStore: "broken" });
    program("broken", "echo no session bus >&2; exit 3");
    expect(() => found("localhost:5000/app")).toThrow("docker-credential-broken get failed (3): no session bus");
  });
});
