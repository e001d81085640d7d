import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { parseCompare, repeatCommand } from "./options.ts";
import { shellWords } from "./shell-words.ts";

test("a shell reads back the very words, whatever is in them", () => {
  const words = ["sh", "-c", `echo "it's $HOME"; printf '%s\\n' a*`, "", "two\nlines", "~", "a=b"];
  const { stdout } = spawnSync("sh", ["-c", `printf '%s\\0' ${shellWords(words)}`], { encoding: "utf8" });
  expect(stdout.split("\0").slice(0, -1)).toEqual(words);
  expect(shellWords(["echo", "ready"])).toBe("echo ready");
});

test("the line that repeats a comparison names the same image, command and options", () => {
  const argv = ["--quick", "--seed", "7", "--host", "unix:///tmp/a b.sock", "busybox:latest", "--", "sh", "-c", "echo 'ready'; true"];
  const line = repeatCommand(parseCompare(argv));
  const { stdout } = spawnSync("sh", ["-c", `bulkhead() { printf '%s\\0' "$@"; }; ${line}`], { encoding: "utf8" });
  const [verb, ...again] = stdout.split("\0").slice(0, -1);
  expect(verb).toBe("compare");
  expect(parseCompare(again)).toEqual(parseCompare(argv));
});
