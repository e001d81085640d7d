/** What is audited: workloads by name, files by what they hold, or the words of a `docker run`. */

import { type AuditDocument, type Client, Failure } from "../../../sdk/src/index.ts";
import { isRecord, readDocument } from "../advice/documents.ts";
import { UsageError } from "../command.ts";
import { parseFlags } from "../flags.ts";
import { readGivenText } from "../given-file.ts";
import { createDocument } from "../specs/create-document.ts";
import { RUN_OPTIONS } from "../specs/run-options.ts";

/** A workload is audited as it is: by its inspect document. */
export async function documentOfWorkload(client: Client, name: string): Promise<AuditDocument> {
  return { kind: "inspect", name, content: await client.workloads.inspect(name) };
}

/** `docker run --privileged busybox`, with or without the program's and the verb's names. */
export function documentOfWords(words: readonly string[]): AuditDocument {
  // `docker container run` is the longest way to say it.
  const verb = words.slice(0, 3).findIndex((word) => word === "run" || word === "create");
  if (verb === -1) throw new UsageError(`${words.slice(0, 2).join(" ")} makes no workload`, "bulkhead audit -- docker run IMAGE");
  const { flags, args } = parseFlags(words.slice(verb + 1), RUN_OPTIONS, true);
  if (args.length === 0) throw new UsageError("no image is named", "bulkhead audit -- docker run IMAGE");
  return {
    kind: "create",
    name: flags.text("name") ?? (args[0] as string),
    content: createDocument(flags, args, { stdin: false, stdout: true, stderr: true }),
  };
}

/** One document, or each of an inspect's list. */
export async function documentsOfFile(path: string): Promise<readonly AuditDocument[]> {
  if (/(^|\/)(Dockerfile|Containerfile)[^/]*$|\.(dockerfile|containerfile)$/i.test(path))
    return [{ kind: "dockerfile", name: path, content: readGivenText(path) }];
  const content = await readDocument(path);
  if (isRecord(content) && isRecord(content["services"])) return [{ kind: "compose", name: path, content }];
  const listed: readonly unknown[] = Array.isArray(content) ? content : [content];
  return listed.map((one) => {
    if (isRecord(one) && isRecord(one["Config"]) && isRecord(one["HostConfig"])) return { kind: "inspect", name: nameOf(one) ?? path, content: one };
    if (isRecord(one) && ("HostConfig" in one || "Image" in one)) return { kind: "create", name: path, content: one };
    throw new Failure("INVALID_SPEC", `${path} is neither a compose file, nor an inspect document, nor the body of a create`, {
      remedy: "A Dockerfile is known by its name; everything else is JSON or YAML with `services:`, or with `Config` and `HostConfig`.",
    });
  });
}

function nameOf(inspected: Readonly<Record<string, unknown>>): string | undefined {
  return typeof inspected["Name"] === "string" ? inspected["Name"].replace(/^\//, "") : undefined;
}
