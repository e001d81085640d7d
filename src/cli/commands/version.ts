import { Failure, type VersionDocument } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { printDocument } from "../format/listing.ts";
import { print } from "../output.ts";
import { reportFailure } from "../report.ts";
import { showVersions } from "../show-versions.ts";
import { CLIENT_VERSION } from "../version.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  description: "Versions of this client and of the daemon.",
  options: [
    { name: "format", short: "f", kind: "text", value: "template", help: "json, or a Go template" },
    { name: "json", kind: "flag", help: "As --format json" },
  ],
  examples: [{ command: "bulkhead version -f '{{.Server.Version}}'", says: "the daemon's alone" }],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const own = { Version: CLIENT_VERSION, Node: process.versions.node, Os: process.platform, Arch: process.arch, Host: client.host };
    let server: VersionDocument | undefined;
    let failure: unknown;
    try {
      server = await client.system.version();
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
      failure = thrown;
    }
    const format = flags.on("json") ? "json" : flags.text("format");
    if (format !== undefined) printDocument({ Client: own, Server: server ?? null }, format);
    else print(showVersions(client.host, server));
    if (failure === undefined) return 0;
    reportFailure(failure, "version");
    return 1;
  },
};
