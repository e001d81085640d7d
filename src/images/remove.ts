/** Untagging and deleting, with Docker's rules for what goes when. */

import { Failure } from "../contract/failure.ts";
import type { ImageRecord, Records } from "./records.ts";
import { familiar, parseReference, tagKey } from "./reference.ts";

export interface Removal {
  readonly untagged: readonly string[];
  /** Whether the image itself goes. */
  readonly deletes: boolean;
  readonly image: ImageRecord;
}

/** Decides; changes nothing. `holders` are workloads that use the image. */
export function planRemoval(records: Records, reference: string, holders: (id: string) => readonly string[], force: boolean): Removal {
  const image = records.get(reference);
  const tags = records.tagsOf(image.id);
  const tag = namedTag(reference, tags);
  if (tag !== undefined && tags.length > 1) return { image, untagged: [tag], deletes: false };
  const users = holders(image.id);
  if (users.length > 0) {
    // Docker's forced removal takes the name and leaves the image to the containers that use it.
    if (force && tag !== undefined) return { image, untagged: [tag], deletes: false };
    throw new Failure("WRONG_STATE", `the image ${reference.slice(0, 200)} is used by ${users.length} workloads, ${users[0]?.slice(0, 12)} among them`, {
      remedy: "remove the workloads first, or use --force to take away only the name",
    });
  }
  if (tag === undefined && tags.length > 1 && !force) {
    throw new Failure("WRONG_STATE", `the image ${reference.slice(0, 200)} has ${tags.length} names`, {
      remedy: "name the one to be removed, or use --force to remove all",
    });
  }
  return { image, untagged: tags, deletes: true };
}

function namedTag(reference: string, tags: readonly string[]): string | undefined {
  try {
    const parsed = parseReference(reference);
    const key = parsed.digest === undefined ? tagKey(parsed) : undefined;
    return tags.find((tag) => tag === key);
  } catch {
    return undefined;
  }
}

export function removalSteps({ image, untagged, deletes }: Removal): readonly { readonly untagged?: string; readonly deleted?: string }[] {
  return [...untagged.map((tag) => ({ untagged: familiar(parseReference(tag)) })), ...(deletes ? [{ deleted: image.id }] : [])];
}
