import { describe, expect, it } from "vitest";
import { refuseWebPages } from "./web-page.ts";

const codeOf = (headers: Readonly<Record<string, string>>, trusted: readonly string[] = []): string => {
  try {
    refuseWebPages(headers, trusted);
    return "answered";
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
};
const DENIED = "DENIED_BY_POLICY";

describe("a request of a web page", () => {
  it.each(["evil.example", "evil.example:2375", "EVIL.example.", "a.b.evil.example:80", "_x.evil.example", "127.0.0.1.evil.example", "localhost.evil.example"])(
    "for its own name, which leads here, is refused: %s",
    (host) => {
      expect(codeOf({ host })).toBe(DENIED);
      expect(codeOf({ host, origin: `http://${host}`, "sec-fetch-site": "same-origin" })).toBe(DENIED);
    },
  );

  it.each([
    { origin: "https://evil.example" },
    { origin: "http://localhost:8000" },
    { origin: "http://localhost" },
    { origin: "null" },
    { origin: "nonsense" },
    { origin: "file://" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site", origin: "http://localhost:2375" },
  ])("of another place is refused: %o", (headers) => {
    expect(codeOf({ host: "localhost:2375", ...headers })).toBe(DENIED);
  });

  it("is answered where the operator trusts its place, and nobody else's is", () => {
    const trusted = ["ui.example", "Other.example:9000"];
    expect(codeOf({ host: "ui.example:2375", origin: "https://ui.example:9443" }, trusted)).toBe("answered");
    expect(codeOf({ host: "localhost:2375", origin: "http://other.example:9000", "sec-fetch-site": "cross-site" }, trusted)).toBe("answered");
    expect(codeOf({ host: "localhost:2375", origin: "http://other.example:9001" }, trusted)).toBe(DENIED);
    expect(codeOf({ host: "not-ui.example" }, trusted)).toBe(DENIED);
    expect(codeOf({ host: "ui.example", origin: "https://evil.example" }, trusted)).toBe(DENIED);
  });
});

describe("a program is answered", () => {
  it.each([
    "docker",
    "localhost",
    "localhost:2375",
    "api.moby.localhost",
    "docker.sock",
    "host.docker.internal:2375",
    "%2Fvar%2Frun%2Fdocker.sock",
    "/var/run/docker.sock",
    "127.0.0.1:2375",
    "[::1]:2375",
    "d",
    "",
  ])("by whatever name it calls the host: %j", (host) => {
    expect(codeOf({ host })).toBe("answered");
    expect(codeOf(host === "" ? {} : { host, "sec-fetch-site": "none" })).toBe("answered");
  });

  it("also a page that was served from the same place", () => {
    expect(codeOf({ host: "localhost:2375", origin: "http://localhost:2375" })).toBe("answered");
    expect(codeOf({ host: "localhost:2375", origin: "http://localhost:2375", "sec-fetch-site": "same-origin" })).toBe("answered");
  });
});
