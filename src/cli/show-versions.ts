/** How `version` looks for people. */

import { CLIENT_VERSION } from "./version.ts";

export interface ServerVersion {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion?: string | undefined;
  readonly Platform?: { readonly Name: string } | undefined;
  readonly Os?: string | undefined;
  readonly Arch?: string | undefined;
  readonly KernelVersion?: string | undefined;
}

export function showVersions(host: string, server: ServerVersion | undefined): string {
  const own = `Client:
 Version:    ${CLIENT_VERSION}
 Node:       ${process.versions.node}
 OS/Arch:    ${process.platform}/${process.arch}
 Host:       ${host}
`;
  if (server === undefined) return own;
  return `${own}
Server: ${server.Platform?.Name ?? "unknown"}
 Version:    ${server.Version}
 API:        ${server.ApiVersion}${server.MinAPIVersion === undefined ? "" : ` (from ${server.MinAPIVersion})`}
 OS/Arch:    ${server.Os ?? "?"}/${server.Arch ?? "?"}
 Kernel:     ${server.KernelVersion ?? "?"}
`;
}
