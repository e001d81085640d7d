import { needsLabel } from "../advice/needs-label.ts";
import type { Command, OptionDefinition } from "../command.ts";
import { readGivenText } from "../given-file.ts";
import { clean, print, printLine, tell } from "../output.ts";
import { createDocument } from "../specs/create-document.ts";
import { CREATE_OPTIONS } from "../specs/run-options.ts";

const JSON_OPTION: OptionDefinition = { name: "json", kind: "flag", help: "One JSON document" };

export const policyShow: Command = {
  usage: "[OPTIONS]",
  description: "Print the policy in force. Exit code 1 where its file is no policy: nothing new is allowed then.",
  options: [],
  least: 0,
  most: 0,
  run: async ({ client }) => {
    const { file, policy } = await client.policy.inForce();
    printLine(JSON.stringify({ file, policy }, undefined, 2));
    return 0;
  },
};

export const policyTest: Command = {
  usage: "FILE",
  description: "Say whether a file is a policy, or line and column of what is wrong. Nothing is put into force.",
  options: [],
  least: 1,
  most: 1,
  completes: "files",
  run: async ({ args, client }) => {
    const [file = "-"] = args;
    await client.policy.parse({ text: readGivenText(file), file });
    printLine(`${clean(file)} is a policy`);
    return 0;
  },
};

export const policyCheck: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  description:
    "Say whether a run would be allowed to you, and each demand that it does not meet. Options are those of `bulkhead create`. Exit code 1 where it would be refused.",
  options: [
    { name: "policy-file", kind: "text", value: "FILE", help: "A policy that is not in force yet", completes: "files" },
    JSON_OPTION,
    ...CREATE_OPTIONS,
  ],
  examples: [{ command: "bulkhead policy check --isolation container --privileged busybox", says: "before it is tried" }],
  least: 1,
  stopsAtArgument: true,
  completes: "images",
  run: async ({ flags, args, client }) => {
    const file = flags.text("policy-file");
    const answer = await client.policy.check({
      create: createDocument(flags, args, { stdin: false, stdout: true, stderr: true }, await needsLabel(flags)),
      ...(file === undefined ? {} : { policy: { text: readGivenText(file), file } }),
    });
    if (flags.on("json")) printLine(JSON.stringify(answer, undefined, 2));
    else if (answer.allowed) printLine(`allowed, behind ${answer.boundary.kind} (${clean(answer.boundary.engine)})`);
    else print(answer.violations.map(({ rule, what, remedy }) => `${clean(what)} [${clean(rule)}]\n  Remedy: ${clean(remedy)}\n`).join(""));
    if (!answer.allowed) tell("it would be refused");
    return answer.allowed ? 0 : 1;
  },
};
