/** What the operator says about registries. */

export interface RegistrySettings {
  /** `host[:port]` of registries that may be spoken to without TLS, or with a certificate that cannot be verified. Loopback may be spoken to without TLS anyway. */
  readonly insecure: readonly string[];
  /** Directories with `HOST[:PORT]/ca.crt` (and `client.cert`, `client.key`), as Docker has them. The first that has the host decides. */
  readonly certificateDirectories: readonly string[];
  /** A file of `auths`, as Docker's client keeps them, that serves whoever pulls without credentials of his own. Absent: nobody is lent any. */
  readonly credentialsFile?: string;
  /** Wait before a broken connection's first retry; doubled at each. */
  readonly retryDelayMs: number;
}

export function completeSettings(settings: Partial<RegistrySettings>): RegistrySettings {
  return {
    insecure: [],
    certificateDirectories: ["/etc/bulkhead/certs.d", "/etc/docker/certs.d"],
    retryDelayMs: 250,
    ...settings,
  };
}
