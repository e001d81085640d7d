import { describe, expect, it } from "vitest";
import type { OptionDefinition } from "./command.ts";
import { parseFlags } from "./flags.ts";
import { RUN_OPTIONS } from "./specs/run-options.ts";

const OPTIONS: readonly OptionDefinition[] = [
  { name: "interactive", short: "i", kind: "flag", help: "" },
  { name: "tty", short: "t", kind: "flag", help: "" },
  { name: "publish", short: "p", kind: "list", help: "" },
  { name: "name", kind: "text", help: "" },
  { name: "time", kind: "number", help: "" },
  { name: "pull", kind: "text", help: "", choices: ["always", "never"] },
];

describe("options", () => {
  it("stand joined, apart, with = and with the value behind the letter", () => {
    const { flags, args } = parseFlags(["-it", "-p80:80", "-p", "81:81", "-p=82:82", "--publish=83:83", "--name", "x", "rest"], OPTIONS);
    expect(flags.on("interactive") && flags.on("tty")).toBe(true);
    expect(flags.list("publish")).toEqual(["80:80", "81:81", "82:82", "83:83"]);
    expect(flags.text("name")).toBe("x");
    expect(args).toEqual(["rest"]);
  });

  it("can be turned off by =false, and the last one counts", () => {
    expect(parseFlags(["--tty=false"], OPTIONS).flags.on("tty")).toBe(false);
    expect(parseFlags(["-t", "--tty=false"], OPTIONS).flags.on("tty")).toBe(false);
    expect(parseFlags(["--name", "a", "--name=b"], OPTIONS).flags.text("name")).toBe("b");
  });

  it("end at -- and, for run and exec, at the first argument", () => {
    expect(parseFlags(["--", "-t"], OPTIONS)).toMatchObject({ args: ["-t"] });
    const parsed = parseFlags(["-i", "image", "-t", "--name", "x"], OPTIONS, true);
    expect(parsed.args).toEqual(["image", "-t", "--name", "x"]);
    expect(parsed.flags.on("tty")).toBe(false);
  });

  it("may stand after arguments elsewhere", () => {
    const parsed = parseFlags(["web", "-t"], OPTIONS);
    expect(parsed.args).toEqual(["web"]);
    expect(parsed.flags.on("tty")).toBe(true);
  });

  it("take a lone dash as an argument and a value that begins with one", () => {
    expect(parseFlags(["-", "--name", "-x"], OPTIONS)).toMatchObject({ args: ["-"] });
    expect(parseFlags(["--name", "-x"], OPTIONS).flags.text("name")).toBe("-x");
  });

  it.each([
    [["--nam", "x"], /unknown option --nam; did you mean --name/],
    [["-x"], /unknown option -x/],
    [["--name"], /needs a value/],
    [["--time", "soon"], /takes a number/],
    [["--time="], /takes a number/],
    [["--tty=perhaps"], /true or false/],
    [["--pull", "often"], /always, never/],
  ])("that are wrong are named: %j", (words, message) => {
    expect(() => parseFlags(words, OPTIONS)).toThrow(message);
  });

  it("leave --help and -h to the program, but -h with a value to --hostname", () => {
    expect(parseFlags(["--help"], OPTIONS).help).toBe(true);
    expect(parseFlags(["-h"], OPTIONS).help).toBe(true);
    expect(parseFlags(["-h", "box", "image"], RUN_OPTIONS, true).flags.text("hostname")).toBe("box");
  });

  it("of run have no name or letter twice", () => {
    const names = RUN_OPTIONS.map((option) => option.name);
    const letters = RUN_OPTIONS.flatMap((option) => option.short ?? []);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(letters).size).toBe(letters.length);
  });
});
