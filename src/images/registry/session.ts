/**
 * A conversation with one repository of a registry: requests that carry what the registry asked for (a bearer token or basic
 * credentials), follow its redirects to where blobs really are, and turn its refusals into failures.
 */

import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { Call } from "../../contract/call.ts";
import { Failure } from "../../contract/failure.ts";
import type { RegistryCredentials } from "../index.ts";
import { repositoryOf, type Reference } from "../reference.ts";
import { readBody } from "./body.ts";
import { parseChallenges } from "./challenge.ts";
import { findCredentials } from "./credentials.ts";
import { type Endpoint, openEndpoint } from "./endpoint.ts";
import { completeSettings, type RegistrySettings } from "./settings.ts";
import { basic, fetchToken } from "./token.ts";

const MAX_REDIRECTS = 5;

export interface Ask {
  readonly method: "GET" | "HEAD" | "POST" | "PUT";
  /** Below `/v2/NAME/`, or a whole address that the registry gave. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for each attempt. */
  readonly body?: () => AsyncIterable<Uint8Array> | Uint8Array;
}

export class Session implements AsyncDisposable {
  readonly repository: string;
  readonly settings: RegistrySettings;
  readonly #domain: string;
  readonly #path: string;
  readonly #endpoint: Endpoint;
  readonly #scope: string;
  readonly #credentials: RegistryCredentials;
  readonly #call: Call;
  #authorization: string | undefined;

  private constructor(
    reference: Reference,
    parts: { endpoint: Endpoint; settings: RegistrySettings; scope: string; credentials: RegistryCredentials; call: Call },
  ) {
    this.repository = repositoryOf(reference);
    this.#domain = reference.domain;
    this.#path = reference.path;
    this.#endpoint = parts.endpoint;
    this.settings = parts.settings;
    this.#scope = parts.scope;
    this.#credentials = parts.credentials;
    this.#call = parts.call;
    const { registryToken } = parts.credentials;
    this.#authorization = registryToken === undefined ? undefined : `Bearer ${registryToken}`;
  }

  static async open(
    reference: Reference,
    options: { readonly settings: Partial<RegistrySettings>; readonly credentials: RegistryCredentials | undefined; readonly actions: string },
    call: Call,
  ): Promise<Session> {
    const settings = completeSettings(options.settings);
    const given = options.credentials;
    const ownCredentials = given !== undefined && Object.values(given).some((value) => value !== undefined && value !== "");
    // What the operator lends is for reading: nobody writes to a registry in his name.
    const lent = options.actions === "pull" ? settings.credentialsFile : undefined;
    const note = (what: string) => call.log.warn({ registry: reference.domain, what }, "credentials not found");
    const credentials = ownCredentials ? withoutEmpty(given) : lent === undefined ? {} : await findCredentials(reference.domain, lent, note);
    const endpoint = await openEndpoint(reference.domain, settings, call.signal);
    return new Session(reference, { endpoint, settings, scope: `repository:${reference.path}:${options.actions}`, credentials, call });
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  /** Answers with the statuses named in `accept` come back; all others reject. The body must be read or dumped. */
  async request(ask: Ask, accept: readonly number[]): Promise<Dispatcher.ResponseData> {
    let response = await this.#send(ask);
    if (response.statusCode === 401) {
      const header = [response.headers["www-authenticate"] ?? []].flat().join(", ");
      await response.body.dump();
      if (await this.#authorize(header)) response = await this.#send(ask);
    }
    if (accept.includes(response.statusCode)) return response;
    throw await this.#refusal(response);
  }

  async #send(ask: Ask): Promise<Dispatcher.ResponseData> {
    let url = new URL(ask.path, `${this.#endpoint.origin}/v2/${this.#path}/`);
    for (let redirects = 0; ; redirects++) {
      // What the registry gave us to identify ourselves is for the registry alone, not for where it redirects to.
      const own = url.origin === this.#endpoint.origin && this.#authorization !== undefined;
      const body = ask.body?.();
      const response = await this.#endpoint.agent.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: ask.method,
        headers: { "user-agent": "bulkhead", ...ask.headers, ...(own ? { authorization: this.#authorization as string } : {}) },
        signal: this.#call.signal,
        ...(body === undefined ? {} : { body: body instanceof Uint8Array ? body : Readable.from(body) }),
      });
      const location = [response.headers.location ?? []].flat()[0];
      const redirected = [301, 302, 303, 307, 308].includes(response.statusCode) && location !== undefined && (ask.method === "GET" || ask.method === "HEAD");
      if (!redirected) return response;
      await response.body.dump();
      if (redirects >= MAX_REDIRECTS) throw new Failure("UNAVAILABLE", `the registry of ${this.repository} redirects without end`);
      url = this.#checkedRedirect(new URL(location, url));
    }
  }

  /** A registry that is spoken to by TLS must not send us to where it is not. */
  #checkedRedirect(target: URL): URL {
    if (target.protocol === "https:" || (target.protocol === "http:" && this.#plainAllowed)) return target;
    throw new Failure("UNAVAILABLE", `the registry of ${this.repository} redirects to ${target.origin}, which is not followed`);
  }

  get #plainAllowed(): boolean {
    return this.#endpoint.origin.startsWith("http:");
  }

  /** False where nothing can be done about the refusal. */
  async #authorize(header: string): Promise<boolean> {
    const challenges = parseChallenges(header);
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    const { username, password } = this.#credentials;
    if (bearer !== undefined) {
      const ask = { scope: this.#scope, credentials: this.#credentials, plainAllowed: this.#plainAllowed };
      this.#authorization = `Bearer ${await fetchToken(this.#endpoint.agent, bearer, ask, this.#call.signal)}`;
      return true;
    }
    const next = username === undefined || !challenges.some(({ scheme }) => scheme === "basic") ? undefined : basic(username, password ?? "");
    if (next === undefined || next === this.#authorization) return false;
    this.#authorization = next;
    return true;
  }

  async #refusal(response: Dispatcher.ResponseData): Promise<Failure> {
    const said = await readBody(response.body, 64 * 1024, "the registry's answer").then(describeErrors, () => "");
    const what = `${this.repository}: the registry answered ${response.statusCode}${said === "" ? "" : `: ${said}`}`;
    if (response.statusCode === 401 || response.statusCode === 403) return this.#turnedAway(what);
    if (response.statusCode === 404) return new Failure("NOT_FOUND", what, { remedy: "check the image's name and tag" });
    if (response.statusCode === 429) return new Failure("EXHAUSTED", what, { remedy: "the registry limits how often it is asked: wait, or log in" });
    return new Failure("UNAVAILABLE", what, { remedy: "try again; if that does not help, look at the registry's own log" });
  }

  #turnedAway(what: string): Failure {
    const known = Object.keys(this.#credentials).length > 0;
    const login = `\`bulkhead login ${this.#domain}\``;
    const remedy = this.#scope.endsWith(":pull")
      ? `check the image's name, for many a registry says so of one that is not there; if it is right, log in: ${login}`
      : `log in with credentials that may write it: ${login}`;
    return new Failure("UNAUTHENTICATED", `${what}; ${known ? "it refused the credentials that were shown" : "no credentials were shown"}`, { remedy });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endpoint[Symbol.asyncDispose]();
  }
}

function withoutEmpty(credentials: RegistryCredentials): RegistryCredentials {
  return Object.fromEntries(Object.entries(credentials).filter(([, value]) => value !== undefined && value !== ""));
}

/** Distribution's `{"errors": [{"code", "message"}]}`, in one line. */
function describeErrors(bytes: Buffer): string {
  try {
    const { errors } = JSON.parse(bytes.toString("utf8")) as { errors?: readonly { code?: unknown; message?: unknown }[] };
    return (errors ?? []).map(({ code, message }) => `${String(code)}: ${String(message)}`.slice(0, 200)).join("; ");
  } catch {
    return "";
  }
}
