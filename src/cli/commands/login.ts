/** `login` and `logout`. What is kept lies where Docker's client keeps it, so that either serves both. */

import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { UsageError, type Command } from "../command.ts";
import { isTerminal, printLine } from "../output.ts";
import { forgetLogin, keepLogin, serverAddress } from "../registry-auth.ts";

export const login: Command = {
  usage: "[OPTIONS] [SERVER]",
  description: "Check a user name and password with a registry, and keep them for pull and push. Docker Hub where no server is named.",
  options: [
    { name: "username", short: "u", kind: "text", value: "name", help: "User name" },
    { name: "password", short: "p", kind: "text", value: "text", help: "Password; others can see it in the list of processes" },
    { name: "password-stdin", kind: "flag", help: "Read the password from standard input" },
  ],
  examples: [{ command: "bulkhead login -u me --password-stdin registry.example.org < password", says: "from a script" }],
  least: 0,
  most: 1,
  completes: "none",
  run: async ({ flags, args, client }) => {
    const server = serverAddress(args[0]);
    if (flags.given("password") && flags.on("password-stdin")) throw new UsageError("--password and --password-stdin are one too many");
    const username = flags.text("username") ?? (await ask("Username: ", false));
    if (username === "") throw new UsageError("a user name is needed", "say --username");
    const password = flags.on("password-stdin") ? await readPassword() : (flags.text("password") ?? (await ask("Password: ", true)));
    if (password === "") throw new UsageError("a password is needed", "say --password-stdin");
    await client.system.login({ username, password, serveraddress: server });
    const where = keepLogin(server, username, password);
    printLine(`Login Succeeded; kept in ${where}`);
    return 0;
  },
};

export const logout: Command = {
  usage: "[SERVER]",
  description: "Forget the user name and password of a registry. Docker Hub's where no server is named.",
  options: [],
  least: 0,
  most: 1,
  completes: "none",
  run: async ({ args }) => {
    const server = serverAddress(args[0]);
    printLine(forgetLogin(server) ? `Removed the login of ${server}` : `Not logged in to ${server}`);
    return 0;
  },
};

async function readPassword(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}

async function ask(question: string, secret: boolean): Promise<string> {
  if (!isTerminal(0)) throw new UsageError("nobody is there to be asked", "say --username and --password-stdin");
  process.stderr.write(question);
  // What is typed is echoed by readline itself: into nothing, where it is secret.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: secret ? silent : process.stderr, terminal: true });
  try {
    return (await terminal.question("")).trim();
  } finally {
    terminal.close();
    if (secret) process.stderr.write("\n");
  }
}
