/** A daemon's part for killed.test.ts: in the directory given, loads an archive or pulls a reference, removes it, and so on until it is killed. */

import { createReadStream } from "node:fs";
import { call, openBench, quiet } from "./bench.ts";

const [, , directory = "", archive = "", reference = ""] = process.argv;
const bench = await openBench({ registries: {} }, directory);
console.log("open");
for (;;) {
  const [loaded] = await bench.images.load(createReadStream(archive), quiet, call());
  await bench.images.root(loaded?.id ?? "", "block-image", call());
  await bench.images.remove(loaded?.id ?? "", { force: true, prune: true });
  await bench.images.pull(reference, quiet, call());
  await bench.images.remove(reference, { force: true, prune: true });
}
