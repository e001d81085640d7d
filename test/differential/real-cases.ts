/** Programs of real images: a Debian userland with python3, and the same with node above it. `BULKHEAD_FULL` runs all, `npm test` some. */

import type { DifferentialCase } from "./cases.ts";

export interface RealCase extends DifferentialCase {
  /** Slow behind an emulated machine: for the long suite. */
  readonly long?: boolean;
  /** It asks for files with a flag of statx (AT_NO_AUTOMOUNT) to which runsc of 2022 answers EINVAL; `STATX_PROBE` tells. */
  readonly statx?: boolean;
}

/** Says nothing where the flag is understood. */
export const STATX_PROBE: DifferentialCase = {
  title: "statx takes AT_NO_AUTOMOUNT",
  script: `perl -e 'my ($path, $room) = ("/usr", "\\0" x 256); syscall(332, -100, $path, 0x800, 0x7ff, $room) == 0 or print "statx with AT_NO_AUTOMOUNT: $!"'`,
};

/** Every file that the image brought, by name, kind, mode, owner and number of links; and by content. What a runtime puts in is left out. */
const FILES = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /run -o -path /etc \\) -prune -o";

export const DEBIAN_CASES: readonly RealCase[] = [
  { title: "which Debian it is", script: ". /etc/os-release; echo $ID $VERSION_ID; cat /etc/debian_version" },
  {
    title: "every file has its mode, owner and links",
    script: `${FILES} \\( -type d -printf 'd %m %U %G %p\\n' -o -printf '%y %m %U %G %n %s %l %p\\n' \\) | sort | md5sum`,
  },
  { title: "every program has its bytes", script: "cat /usr/bin/* 2>/dev/null | md5sum; ls /usr/bin | wc -l", long: true, statx: true },
  { title: "dpkg knows its packages, and their files are whole", script: "dpkg-query -W | md5sum; dpkg --verify bash coreutils libc6; echo $?" },
  { title: "a set-uid program is one", script: "stat -c '%a %u' /usr/bin/su /usr/bin/passwd", statx: true },
  {
    title: "bash does arithmetic, arrays and substitution",
    script: "bash -c 'a=(x y z); echo ${#a[@]} ${a[-1]^^} $((2**40)); diff <(seq 3) <(seq 1 3) && echo same'",
  },
  { title: "perl", script: "perl -e 'print join(q(,), map { $_ ** 2 } 1..9), qq(\\n)'" },
  {
    title: "tar keeps owners and hard links",
    script:
      "cd /tmp && mkdir t && echo a >t/a && ln t/a t/b && chown 5:6 t/a && tar --sort=name -cf - t | tar -tvf - --numeric-owner | awk '{print $1,$2,$6,$7,$8,$9}'",
  },
];

const python = (title: string, program: string, more: Partial<RealCase> = {}): RealCase => ({
  title: `python: ${title}`,
  script: `python3 - <<'END'\n${program}\nEND`,
  ...more,
});

export const PYTHON_CASES: readonly RealCase[] = [
  python("arithmetic and text", "print(2**200, sum(range(10**5)), 'ä'.encode(), f'{1/3:.20f}')"),
  python(
    "json, hashes and compression",
    "import json,hashlib,zlib\nb=bytes(range(256))*4000\nprint(json.dumps({'a':[1,None,True]}), hashlib.sha256(b).hexdigest(), len(zlib.compress(b)))",
  ),
  python(
    "a database in a file",
    "import sqlite3\nd=sqlite3.connect('/tmp/d')\nd.execute('create table t(a)')\nd.executemany('insert into t values(?)',[(i,) for i in range(500)])\nd.commit()\nprint(d.execute('select count(*),sum(a) from t').fetchone())",
  ),
  python(
    "threads and processes",
    "import subprocess,concurrent.futures as f\nwith f.ThreadPoolExecutor(8) as p: print(list(p.map(lambda n:n*n, range(20))))\nprint(subprocess.run(['sort','-r'],input=b'a\\nc\\nb\\n',capture_output=True).stdout)",
  ),
  python(
    "a fork, a pipe and a signal",
    "import os,signal\nr,w=os.pipe()\np=os.fork()\nif p==0:\n  os.write(w,b'child'); os.kill(os.getpid(),signal.SIGKILL)\nprint(os.read(r,9), os.WTERMSIG(os.waitpid(p,0)[1]))",
  ),
  python(
    "a server and its client",
    "import socket,threading\ns=socket.create_server(('127.0.0.1',0))\nthreading.Thread(target=lambda: s.accept()[0].sendall(b'hello')).start()\nprint(socket.create_connection(s.getsockname()).recv(9))",
  ),
  python(
    "memory-mapped files and sparse ones",
    "import mmap,os\nf=open('/tmp/m','w+b'); f.truncate(1<<20)\nm=mmap.mmap(f.fileno(),0); m[5000:5005]=b'hello'; m.flush()\nprint(os.pread(f.fileno(),5,5000), os.fstat(f.fileno()).st_size)",
  ),
  { title: "python: an exception is told and is exit code 1", script: "python3 -c 'raise ValueError(1)'" },
  { title: "python: its exit code", script: "python3 -c 'import sys; sys.exit(43)'" },
  { title: "python: standard input", script: "python3 -c 'import sys; print(len(sys.stdin.read()))'", input: "x".repeat(100_000) },
];

const node = (title: string, program: string, more: Partial<RealCase> = {}): RealCase => ({ title: `node: ${title}`, script: `node -e '${program}'`, ...more });

export const NODE_CASES: readonly RealCase[] = [
  node("version, arithmetic and text", 'console.log(process.version, 2n ** 200n, [..."äöü"].length)'),
  node(
    "hashes and compression",
    'const b = Buffer.alloc(1e6, "x"); console.log(require("crypto").createHash("sha256").update(b).digest("hex"), require("zlib").gzipSync(b).length)',
  ),
  node("a child and its exit code", 'const r = require("child_process").spawnSync("sh", ["-c", "echo out; exit 3"]); console.log(String(r.stdout), r.status)', {
    long: true,
  }),
  node(
    "a worker thread",
    'new (require("worker_threads").Worker)("require(\\"worker_threads\\").parentPort.postMessage(6*7)", { eval: true }).on("message", console.log)',
    { long: true },
  ),
  node(
    "files in numbers",
    'const fs = require("fs"); for (let i = 0; i < 200; i++) fs.writeFileSync("/tmp/f" + i, String(i)); console.log(fs.readdirSync("/tmp").length)',
    { long: true },
  ),
  { title: "node: an exception is exit code 1", script: "node -e 'throw 1' 2>/dev/null; echo $?" },
];
