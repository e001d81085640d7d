/** What the conformance cases need programs to do, each as a command line. Whoever runs the suite says how its image spells it. */

export interface Vocabulary {
  /** Writes exactly these bytes (as latin1) and exits with 0. */
  print(stream: "stdout" | "stderr", text: string): readonly string[];
  exit(code: number): readonly string[];
  sleep(seconds: number): readonly string[];
  /** Copies stdin to stdout. */
  cat(): readonly string[];
  /** Reads stdin to its end and prints the number of bytes. */
  count(): readonly string[];
  /** Writes so many bytes to stdout. */
  spew(bytes: number): readonly string[];
  /** Prints `tick 1`, `tick 2`, … one line every `ms`. */
  tick(count: number, ms: number): readonly string[];
  /** Prints `ready`, waits for the signal, exits with the code. */
  trap(signal: string, code: number): readonly string[];
  /** Prints `ready` and goes on, whatever that signal says. */
  ignore(signal: string): readonly string[];
  /** One NAME=value a line. */
  environment(): readonly string[];
  directory(): readonly string[];
  /** `uid:gid`. */
  user(): readonly string[];
  hostname(): readonly string[];
  /** `uname -r`. */
  kernel(): readonly string[];
  /** `yes` where stdin is a terminal, else `no`. */
  terminal(): readonly string[];
  /** `rows columns`, once now and once after each change of size until one was seen. */
  size(untilChanged: boolean): readonly string[];
  read(path: string): readonly string[];
  /** Exits with something else than 0 where it cannot. */
  write(path: string, text: string): readonly string[];
  /** Writes so many bytes to a file. */
  fill(path: string, bytes: number): readonly string[];
  /** Makes so many children, prints `made N`; fails where it may not. */
  forks(count: number): readonly string[];
  /** Takes memory without end. */
  hog(): readonly string[];
  /** Writes so many random bytes to stdout. */
  random(bytes: number): readonly string[];
  /** A file that is there and cannot be executed. */
  notExecutable(): readonly string[];
}

export const fakeVocabulary: Vocabulary = {
  print: (stream, text) => ["print", stream, text],
  exit: (code) => ["exit", String(code)],
  sleep: (seconds) => ["sleep", String(seconds)],
  cat: () => ["cat"],
  count: () => ["count"],
  spew: (bytes) => ["spew", String(bytes)],
  tick: (count, ms) => ["tick", String(count), String(ms)],
  trap: (signal, code) => ["trap", signal, String(code)],
  ignore: (signal) => ["ignore", signal],
  environment: () => ["environment"],
  directory: () => ["directory"],
  user: () => ["user"],
  hostname: () => ["hostname"],
  kernel: () => ["kernel"],
  terminal: () => ["terminal"],
  size: (untilChanged) => (untilChanged ? ["size", "SIGWINCH"] : ["size"]),
  read: (path) => ["read", path],
  write: (path, text) => ["write", path, text],
  fill: (path, bytes) => ["fill", path, String(bytes)],
  forks: (count) => ["forks", String(count)],
  hog: () => ["hog"],
  random: (bytes) => ["random", String(bytes)],
  notExecutable: () => ["not-executable"],
};

const shell = (script: string, ...words: readonly string[]): readonly string[] => ["sh", "-c", script, "sh", ...words];
const octal = (text: string) => [...Buffer.from(text, "latin1")].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");

/** Any image with busybox's applets in its PATH. */
export const busyboxVocabulary: Vocabulary = {
  print: (stream, text) => shell(stream === "stdout" ? 'printf "$1"' : 'printf "$1" >&2', octal(text)),
  exit: (code) => shell(`exit ${code}`),
  sleep: (seconds) => ["sleep", String(seconds)],
  cat: () => ["cat"],
  count: () => shell("echo $(wc -c)"),
  spew: (bytes) => ["head", "-c", String(bytes), "/dev/zero"],
  tick: (count, ms) => shell(`i=1; while [ $i -le ${count} ]; do echo tick $i; sleep ${ms / 1000}; i=$((i+1)); done`),
  trap: (signal, code) => shell(`trap "exit ${code}" ${signal.replace(/^SIG/, "")}; echo ready; while :; do sleep 0.05; done`),
  ignore: (signal) => shell(`trap "" ${signal.replace(/^SIG/, "")}; echo ready; while :; do sleep 0.05; done`),
  environment: () => ["env"],
  directory: () => ["pwd"],
  user: () => shell("echo $(id -u):$(id -g)"),
  hostname: () => ["hostname"],
  kernel: () => ["uname", "-r"],
  terminal: () => shell("if [ -t 0 ]; then echo yes; else echo no; fi"),
  size: (untilChanged) => (untilChanged ? shell('trap "stty size; exit 0" WINCH; stty size; while :; do sleep 0.05; done') : ["stty", "size"]),
  read: (path) => ["cat", path],
  write: (path, text) => shell('printf %s "$2" > "$1"', path, text),
  fill: (path, bytes) => shell(`head -c ${bytes} /dev/zero > "$1"`, path),
  forks: (count) => shell(`i=0; while [ $i -lt ${count} ]; do sleep 20 & i=$((i+1)); done; echo made ${count}`),
  hog: () => ["tail", "/dev/zero"],
  random: (bytes) => ["head", "-c", String(bytes), "/dev/urandom"],
  notExecutable: () => ["/etc/passwd"],
};
