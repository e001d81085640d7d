import { describe, expect, it } from "vitest";
import { unreachable } from "./unreachable.ts";

const failing = (code: string, message = code): Error => Object.assign(new Error(message), { code });

describe("a registry that cannot be spoken to", () => {
  it.each([
    ["docker.io", failing("ENOTFOUND"), /not known to this host's name service/, /Docker Hub: check its spelling/],
    ["registry.example.org", failing("EAI_AGAIN"), /not known/, /registry's name for a slip/],
    ["localhost:5000", failing("ECONNREFUSED"), /nothing listens/, /see that the registry runs/],
    ["10.0.0.9:5000", failing("UND_ERR_CONNECT_TIMEOUT"), /not reached/, /route and firewall/],
    ["10.0.0.9:5000", failing("DEPTH_ZERO_SELF_SIGNED_CERT"), /certificate .* not trusted/, /certs\.d\/10\.0\.0\.9:5000\/ca\.crt/],
    ["10.0.0.9:5000", failing("ERR_TLS_CERT_ALTNAME_INVALID"), /certificate .* not trusted/, /its CA/],
    ["10.0.0.9:5000", failing("ERR_SSL_WRONG_VERSION_NUMBER"), /does not speak TLS/, /insecureRegistries/],
    ["localhost:1", new AggregateError([failing("ECONNREFUSED"), failing("ECONNREFUSED")]), /nothing listens/, /registry runs/],
    ["x.example", failing("ECONNRESET"), /cannot be spoken to/, /try again/],
  ])("%s, %o: the remedy is that cause's", (domain, cause, what, remedy) => {
    const failure = unreachable(domain, ["https: why"], [cause, failing("ECONNREFUSED")]);
    expect(failure).toMatchObject({ code: "UNAVAILABLE" });
    expect(failure.message).toMatch(what);
    expect(failure.message).toContain("(https: why)");
    expect(failure.remedy).toMatch(remedy);
    if (!/CERT/.test((cause as NodeJS.ErrnoException).code ?? "")) expect(failure.remedy).not.toMatch(/\bCA\b/);
  });
});
