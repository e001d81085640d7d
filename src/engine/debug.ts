/**
 * Debug sessions: execs with a root of their own, made of another image. Everything else of an exec is theirs as well: they are recorded, found
 * again, told of and ended by the same means.
 */

import type { Call } from "../contract/call.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import type { ProcessSpec } from "../contract/process.ts";
import type { Sandbox } from "../contract/sandbox.ts";
import type { ImageConfiguration } from "../images/index.ts";
import { getDriver, type Context } from "./context.ts";
import type { ExecRequest } from "./index.ts";
import { mergeEnvironment } from "./merge.ts";
import type { Workload } from "./workload.ts";

export type DebugRequest = ExecRequest & { readonly tools: string };

export function isDebug(request: ExecRequest): request is DebugRequest {
  return request.tools !== undefined;
}

/** Rejects UNSUPPORTED where the boundary lets nothing stand beside the workload. */
export function debugFacet({ debug, identity, exec }: Sandbox, workload: Workload): NonNullable<Sandbox["debug"]> {
  if (debug !== undefined) return debug;
  throw new Failure("UNSUPPORTED", `${identity.kind} (${identity.engine}) cannot run tools of another image beside a workload`, {
    workload: workload.id,
    boundary: identity.kind,
    remedy: exec === undefined ? "Choose another boundary." : "Run what the workload's own image has: `bulkhead exec -it WORKLOAD sh`.",
  });
}

/** The request with the image's id: a tag may be another image's by the time that it starts. Held until the session is over. */
export function holdTools(context: Context, id: string, request: DebugRequest): DebugRequest {
  const tools = context.images.get(request.tools).id;
  context.images.hold(tools, holderOf(id));
  return { ...request, tools };
}

/** After a restart of the daemon. One that is no more was forgotten with the images, and nothing waits for it here. */
export function holdToolsAgain(context: Context, id: string, { tools }: DebugRequest): void {
  try {
    context.images.hold(tools, holderOf(id));
  } catch (thrown) {
    context.log.warn({ exec: id, failure: toFailure(thrown).toJSON() }, "the image of a debug session is no more");
  }
}

export function releaseTools(context: Context, id: string): void {
  context.images.release(holderOf(id));
}

const holderOf = (id: string) => `exec ${id}`;

export async function toolsRoot(context: Context, workload: Workload, request: DebugRequest, call: Call) {
  const { rootForm } = getDriver(context, workload.record.boundary.kind).traits;
  return context.images.root(context.images.get(request.tools).id, rootForm, call);
}

/** The image's variables, and nothing of the workload's own: its secrets are for its own processes. */
export function debugProcess(image: ImageConfiguration, request: DebugRequest): Pick<ProcessSpec, "environment" | "workingDirectory" | "user" | "privileged"> {
  return {
    environment: mergeEnvironment(image.environment, request.terminal ? ["TERM=xterm"] : [], request.environment),
    workingDirectory: request.workingDirectory || "/",
    user: request.user ?? "",
    privileged: false,
  };
}
