/** Verbs of docker's client that are not offered, and what to do instead: who types one is told by its name. */

import { GROUPS } from "./verbs.ts";

const BUILD = "build with buildah or buildctl, then `bulkhead load -i ARCHIVE`";
const NETWORKS = "the networks are bridge, host and none: name one of them with --network";

const ABSENT_VERBS: Readonly<Record<string, string>> = {
  build: BUILD,
  buildx: BUILD,
  commit: BUILD,
  diff: "compare inside, with exec",
  export: "copy them out: `bulkhead cp WORKLOAD:/ - > FILE`, or the directories that are wanted",
  search: "search on the registry's own page, then `bulkhead pull NAME`",
  compose: "use docker's own client: `docker -H unix:///run/bulkhead/bulkhead.sock compose up`",
  "network create": NETWORKS,
  "network rm": NETWORKS,
  "network prune": "nothing needs to be done: the networks that are there cost nothing",
  "network connect": `${NETWORKS} when the workload is created`,
  "network disconnect": `${NETWORKS} when the workload is created`,
};

/** The longest of them that these words begin with. */
export function findAbsentVerb(words: readonly string[]): { readonly name: string; readonly instead: string } | undefined {
  const [first = "", second = ""] = words;
  const grouped = GROUPS.some((group) => group === first) ? [second] : [];
  for (const name of [`${first} ${second}`, first, ...grouped]) {
    const instead = Object.hasOwn(ABSENT_VERBS, name) ? ABSENT_VERBS[name] : undefined;
    if (instead !== undefined) return { name, instead };
  }
  return undefined;
}
