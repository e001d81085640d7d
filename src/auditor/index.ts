/**
 * The auditor's face: documents that workloads are made from in, findings out, or the document with what can be mended mended. Pure: no
 * files, no clock; what only a daemon knows is handed in.
 */

import { Failure } from "../contract/failure.ts";
import { auditWorkload, sorted } from "./audit.ts";
import { editCompose, readCompose } from "./documents/compose.ts";
import { editCreate, readCreate } from "./documents/create.ts";
import { auditDockerfile, parseDockerfile } from "./documents/dockerfile.ts";
import { type Fields, isFields } from "./documents/fields.ts";
import { type Finding, isAtLeast } from "./finding.ts";
import type { WorkloadView } from "./view.ts";

export type { Finding } from "./finding.ts";
export type { WorkloadView } from "./view.ts";

export const DOCUMENT_KINDS = ["create", "inspect", "compose", "dockerfile"] as const;

export interface AuditDocument {
  readonly kind: (typeof DOCUMENT_KINDS)[number];
  /** The workload's or the file's name, for messages. */
  readonly name: string;
  /** A text for a Dockerfile, else an object. */
  readonly content: unknown;
}

/** What the image says where the workload is silent. */
export interface ImageSays {
  readonly user: string;
  readonly healthCheck: boolean;
}

/** What a daemon knows beyond the document. */
export interface Knowledge {
  /** Undefined where the image is not here. */
  readonly image: (name: string) => ImageSays | undefined;
  /** The boundary that is meant by a name, any alias; undefined where it means none. */
  readonly boundary: (name: string) => WorkloadView["boundary"];
}

export type Accepted = Readonly<Record<string, string>>;

export function audit(document: AuditDocument, knowledge: Knowledge, accepted: Accepted = {}): readonly Finding[] {
  if (document.kind === "dockerfile") return sorted(auditDockerfile(textOf(document), document.name, accepted));
  return sorted(viewsOf(document, knowledge).flatMap((view) => auditWorkload(view, accepted)));
}

export interface Mended {
  readonly content: Fields;
  readonly mended: readonly Finding[];
  /** What is left: for a person to decide. */
  readonly left: readonly Finding[];
}

/**
 * Mends what breaks no program, and what is too dangerous to be left; `strict` mends everything that can be. What was accepted stays.
 * Rejects UNSUPPORTED for a Dockerfile: its findings are mended by who knows what is built.
 */
export function mend(document: AuditDocument, knowledge: Knowledge, options: { readonly strict: boolean; readonly accepted: Accepted }): Mended {
  if (document.kind === "dockerfile")
    throw new Failure("UNSUPPORTED", "a Dockerfile is not mended by itself", { remedy: "Each finding says what to write instead." });
  let content = fieldsOf(document);
  const mended: Finding[] = [];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const due = audit({ ...document, content }, knowledge, options.accepted).filter((finding) => isDue(finding, options.strict));
    if (due.length === 0) break;
    for (const { subject, edits } of due)
      for (const edit of edits) content = document.kind === "compose" ? editCompose(content, subject, edit) : editCreate(content, edit);
    mended.push(...due);
  }
  return { content, mended, left: audit({ ...document, content }, knowledge, options.accepted) };
}

/** One finding may hide another: what is privileged needs no capability. */
const MOST_ROUNDS = 5;

function isDue({ accepted, edits, mayBreak, severity }: Finding, strict: boolean): boolean {
  return accepted === undefined && edits.length > 0 && (strict || !mayBreak || isAtLeast(severity, "high"));
}

/** The workloads that a document describes, as the rules see them. Rejects INVALID_SPEC for what is no such document. */
export function viewsOf(document: AuditDocument, knowledge: Knowledge): readonly WorkloadView[] {
  const content = fieldsOf(document);
  const views = document.kind === "compose" ? readCompose(content) : [readCreate(content, document.name)];
  return views.map((view) => informed(view, knowledge, document.kind === "inspect"));
}

/** With what the image says where the workload is silent, and the boundary that its word means. */
function informed(view: WorkloadView, knowledge: Knowledge, isReal: boolean): WorkloadView {
  const image = view.image === "" ? undefined : knowledge.image(view.image);
  const boundary = isReal && view.boundary !== undefined ? view.boundary : knowledge.boundary(view.boundary?.kind ?? "");
  return { ...view, user: view.user || (image?.user ?? ""), healthCheck: view.healthCheck || (image?.healthCheck ?? false), boundary };
}

function fieldsOf({ name, kind, content }: AuditDocument): Fields {
  if (isFields(content)) return content;
  throw new Failure("INVALID_SPEC", `${name} is no ${kind === "compose" ? "compose file" : "document of the Docker API"}: it is not an object`);
}

function textOf({ name, content }: AuditDocument): string {
  if (typeof content === "string" && parseDockerfile(content).some(({ word }) => word === "FROM")) return content;
  throw new Failure("INVALID_SPEC", `${name} is no Dockerfile: it has no FROM`);
}
