/** Writes docs/cli.md. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { showReference } from "../src/cli/reference.ts";

writeFileSync(join(import.meta.dirname, "../docs/cli.md"), await showReference());
