/**
 * One table of image and command, run behind every boundary and on the plain host: exit code, standard output and standard error
 * must be the same everywhere. What differs on purpose (a kernel's name, process numbers) is not asked for.
 */

export interface DifferentialCase {
  readonly title: string;
  /** A POSIX shell program for busybox. */
  readonly script: string;
  readonly environment?: readonly string[];
  readonly workingDirectory?: string;
  readonly user?: string;
  readonly input?: string;
}

export const CASES: readonly DifferentialCase[] = [
  { title: "a word on standard output", script: "echo hello" },
  { title: "no newline at the end", script: "printf hello" },
  { title: "nothing at all", script: ":" },
  { title: "a word on standard error", script: "echo oops >&2" },
  { title: "both streams", script: "echo out; echo err >&2" },
  { title: "exit code 0", script: "exit 0" },
  { title: "exit code 1", script: "exit 1" },
  { title: "exit code 42", script: "exit 42" },
  { title: "exit code 255", script: "exit 255" },
  { title: "death by SIGTERM of a child is 143 in the shell", script: "sh -c 'kill -TERM $$'; echo $?" },
  { title: "death by SIGKILL of a child is 137 in the shell", script: "sh -c 'kill -KILL $$'; echo $?" },
  { title: "a program that is not there is 127 in the shell", script: "no-such-program 2>/dev/null; echo $?" },
  { title: "a file that cannot be executed is 126 in the shell", script: "echo x > /tmp/f; chmod 644 /tmp/f; /tmp/f 2>/dev/null; echo $?" },
  { title: "standard input is read to its end", script: "cat", input: "one\ntwo\nthree" },
  { title: "standard input counted", script: "wc -c", input: "0123456789" },
  { title: "empty standard input ends at once", script: "cat; echo done", input: "" },
  { title: "bytes that are no text", script: "printf '\\000\\001\\376\\377' | od -An -tx1" },
  { title: "a large output, by its hash", script: "seq 1 200000 | md5sum" },
  { title: "a large output, whole", script: "seq 1 20000" },
  { title: "an environment variable", script: 'echo "$GREETING"', environment: ["GREETING=hello there"] },
  { title: "an environment variable with odd characters", script: 'printf "%s" "$ODD"', environment: ["ODD=a=b\"c'd $e\\n é"] },
  { title: "an empty environment variable is set", script: 'echo "${EMPTY-unset}"', environment: ["EMPTY="] },
  { title: "PATH is Docker's default", script: 'echo "$PATH"' },
  { title: "the working directory", script: "pwd", workingDirectory: "/tmp" },
  { title: "the root user", script: "id -u; id -g" },
  { title: "a numeric user and group", script: "id -u; id -g", user: "1000:1001" },
  { title: "a named user", script: "id -un", user: "nobody" },
  { title: "a file is written and read", script: "echo text > /tmp/a; cat /tmp/a; stat -c %s /tmp/a" },
  { title: "permissions bind another user", script: "cat /etc/shadow-of-root 2>/dev/null; echo $?", user: "1000" },
  { title: "umask", script: "umask; touch /tmp/u; stat -c %a /tmp/u" },
  { title: "symbolic links", script: "ln -s /etc/passwd /tmp/l; readlink /tmp/l; head -c 4 /tmp/l" },
  { title: "hard links count", script: "echo x > /tmp/1; ln /tmp/1 /tmp/2; stat -c %h /tmp/1" },
  { title: "a file of the image is replaced", script: "echo new > /etc/motd; cat /etc/motd" },
  { title: "a file of the image is removed", script: "rm /etc/group && ls /etc/group 2>/dev/null; echo $?" },
  { title: "a directory of the image is renamed", script: "mkdir /tmp/d && mv /tmp/d /tmp/e && ls -d /tmp/e" },
  { title: "a sparse file has its size", script: "truncate -s 1M /tmp/s; stat -c %s /tmp/s" },
  { title: "a FIFO carries bytes", script: "mkfifo /tmp/p; (echo through > /tmp/p) & cat /tmp/p" },
  { title: "pipes and exit codes", script: "false | true; echo $?" },
  { title: "background work is awaited", script: "(sleep 0.1; echo later) & wait; echo after" },
  { title: "signals are trapped", script: "trap 'echo trapped' USR1; kill -USR1 $$; sleep 0.05; echo end" },
  { title: "/dev/null swallows", script: "echo x > /dev/null; wc -c < /dev/null" },
  { title: "/dev/zero gives", script: "head -c 16 /dev/zero | od -An -tx1" },
  { title: "/dev/urandom gives", script: "head -c 32 /dev/urandom | wc -c" },
  { title: "/dev/full is full", script: "echo x 2>/dev/null > /dev/full || echo full" },
  { title: "/dev/shm is writable", script: "echo x > /dev/shm/a && cat /dev/shm/a" },
  { title: "/proc shows the shell's own name", script: "cat /proc/self/comm" },
  { title: "large arguments", script: 'set -- $(seq 1 5000); echo $#; echo "$5000"' },
  { title: "deep directories", script: "d=/tmp; for i in $(seq 1 40); do d=$d/x; done; mkdir -p $d && echo made" },
  { title: "many files", script: "mkdir /tmp/m; for i in $(seq 1 300); do : > /tmp/m/$i; done; ls /tmp/m | wc -l" },
  { title: "integer arithmetic", script: "echo $((7 * 6)) $((1 << 40))" },
  { title: "tar there and back", script: "mkdir /tmp/t; echo a > /tmp/t/f; tar -C /tmp/t -cf - . | tar -tf - | sort" },
  { title: "gzip there and back", script: "echo squeeze | gzip | gunzip" },
];
