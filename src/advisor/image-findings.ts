/** What was seen in an image, told beside what was assumed: nobody said it, and whoever decides should know. It rules nothing out by itself. */

import { type ImageFacts, startsInitSystem } from "./image.ts";
import type { Assumption } from "./needs.ts";
import type { Requirements } from "./requirements.ts";

/** What its files say; see the store of images. */
export interface ImageFiles {
  readonly setUserIdFiles: readonly string[];
  readonly initSystems: readonly string[];
  readonly kernelModules: readonly string[];
  readonly complete: boolean;
}

/** So many are named; the rest is counted. */
const NAMED = 20;

/** `files` is the reason where they could not be read. `given` is what was said of the needs, by whomever. */
export function findingsOfImage(image: ImageFacts, files: ImageFiles | string, given: Requirements): Assumption[] {
  const { user, exposedPorts } = image;
  const isRoot = /^(?:|root|0)(?::|$)/.test(user);
  return [
    {
      field: "image.user",
      value: user === "" ? "root" : user,
      text: isRoot ? "it starts as root where nobody says otherwise" : "it starts as this user, and not as root",
    },
    ...(exposedPorts.length === 0 ? [] : [{ field: "image.ports", value: exposedPorts, text: "it says that it listens there" }]),
    ...(typeof files === "string" ? [{ field: "image.files", value: null, text: `its files could not be read: ${files}` }] : ofFiles(files, image, given)),
  ];
}

function ofFiles({ setUserIdFiles, initSystems, kernelModules, complete }: ImageFiles, image: ImageFacts, given: Requirements): Assumption[] {
  const [system] = initSystems;
  const modulesSaid = given.kernel?.modules !== undefined;
  const many = setUserIdFiles.length === 1 ? "a program in it runs as its owner" : `${setUserIdFiles.length} programs in it run as their owner`;
  return [
    ...(setUserIdFiles.length === 0
      ? []
      : [
          {
            field: "image.setUserIdFiles",
            value: named(setUserIdFiles),
            text: `${many}, whoever starts them: --security-opt no-new-privileges ends that, unless they are needed`,
          },
        ]),
    ...(system === undefined || given.initSystem !== undefined || startsInitSystem(image)
      ? []
      : [
          {
            field: "image.initSystem",
            value: system,
            text: "an init system lies in it, and it starts something else: taken for not needed (initSystem says otherwise)",
          },
        ]),
    ...(kernelModules.length === 0 || modulesSaid
      ? []
      : [
          {
            field: "image.kernelModules",
            value: named(kernelModules),
            text: "kernel modules lie in it: taken for not loaded by it (kernel.modules says otherwise)",
          },
        ]),
    ...(complete ? [] : [{ field: "image.files", value: null, text: "it has more files than were looked at: there may be more of the kind" }]),
  ];
}

function named(paths: readonly string[]): readonly string[] {
  return paths.length <= NAMED ? paths : [...paths.slice(0, NAMED), `and ${paths.length - NAMED} more`];
}
