/** Where the other built programs are: beside this one. */

import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";

export function builtPath(name: string): string {
  return join(dirname(realpathSync(process.argv[1] ?? "")), name);
}
