/** Why a registry, or its token server, could not be spoken to, and what to do about that very cause. */

import { Failure } from "../../contract/failure.ts";

/** Why a registry cannot be spoken to decides what is to be done: the first cause, for the second is only of having tried without TLS. */
export function unreachable(domain: string, reasons: readonly string[], causes: readonly unknown[]): Failure {
  const [first] = causes;
  const { what, remedy } = CAUSES.find((cause) => cause.holds(first))?.tell(domain) ?? {
    what: `the registry ${domain} cannot be spoken to`,
    remedy: "try again; if that does not help, look at the registry's own log",
  };
  return new Failure("UNAVAILABLE", `${what} (${reasons.join("; ")})`, { remedy, cause: first });
}

interface Cause {
  holds(thrown: unknown): boolean;
  tell(domain: string): { readonly what: string; readonly remedy: string };
}

const codeOf = (thrown: unknown): string => (innermost(thrown) as NodeJS.ErrnoException).code ?? "";
const named =
  (...codes: readonly string[]) =>
  (thrown: unknown) =>
    codes.includes(codeOf(thrown));

const CAUSES: readonly Cause[] = [
  {
    holds: named("ENOTFOUND", "EAI_AGAIN", "EAI_NODATA", "EAI_NONAME", "EAI_FAIL"),
    tell: (domain) => ({
      what: `the registry's name ${domain} is not known to this host's name service`,
      remedy:
        domain === "docker.io"
          ? "an image without a registry's name is looked for on Docker Hub: check its spelling with `bulkhead images`; else check the network and /etc/resolv.conf, or load the image from an archive (`bulkhead load -i FILE`)"
          : "check the registry's name for a slip, then this host's network and /etc/resolv.conf",
    }),
  },
  {
    holds: named("ECONNREFUSED"),
    tell: (domain) => ({ what: `nothing listens at the registry ${domain}`, remedy: "see that the registry runs, and that the port is its own" }),
  },
  {
    holds: named("ETIMEDOUT", "UND_ERR_CONNECT_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN"),
    tell: (domain) => ({
      what: `the registry ${domain} is not reached`,
      remedy: "check this host's network, route and firewall, and whether the registry can be reached only through a proxy",
    }),
  },
  {
    holds: isDistrust,
    tell: (domain) => ({
      what: `the certificate of the registry ${domain} is not trusted`,
      remedy: `put its CA into /etc/bulkhead/certs.d/${domain}/ca.crt, or name it in insecureRegistries of the daemon's configuration`,
    }),
  },
  {
    holds: (thrown) => /^ERR_SSL|EPROTO/.test(codeOf(thrown)) || /wrong version number|packet length too long/i.test(reasonOf(thrown)),
    tell: (domain) => ({
      what: `the registry ${domain} does not speak TLS`,
      remedy: "name it in insecureRegistries of the daemon's configuration, if the network to it is yours alone",
    }),
  },
];

/** Where several addresses of one name were tried, the first one's. */
function innermost(thrown: unknown): unknown {
  return thrown instanceof AggregateError ? thrown.errors[0] : thrown;
}

export function reasonOf(thrown: unknown): string {
  const { code, message } = innermost(thrown) as NodeJS.ErrnoException;
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}

/** A certificate that nobody vouches for, or that is for another name. */
export function isDistrust(thrown: unknown): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(codeOf(thrown));
}
