/** Fetching an image because a verb needs it, or because it was asked for. */

import { Failure, type Client, type ProgressLine } from "../../sdk/src/index.ts";
import { tell } from "./output.ts";
import { findRegistryAuth } from "./registry-auth.ts";
import { showProgress } from "./terminal/progress.ts";

export interface PullOptions {
  readonly platform?: string | undefined;
  readonly quiet: boolean;
  /** Where progress goes: stderr where stdout belongs to a workload. */
  readonly descriptor: 1 | 2;
}

/** Resolves with the lines that carry more than progress. */
export function pullImage(client: Client, reference: string, options: PullOptions): Promise<readonly ProgressLine[]> {
  const lines = client.images.pull(reference, { platform: options.platform, registryAuth: findRegistryAuth(reference) });
  return showProgress(lines, options.descriptor, options.quiet);
}

/** Does what needs an image, with the image fetched as `--pull` says. */
export async function withImage<T>(
  client: Client,
  wanted: { readonly image: string; readonly when: string; readonly platform?: string | undefined; readonly quiet: boolean },
  act: () => Promise<T>,
): Promise<T> {
  const options = { platform: wanted.platform, quiet: wanted.quiet, descriptor: 2 as const };
  if (wanted.when === "always") await pullImage(client, wanted.image, options);
  try {
    return await act();
  } catch (thrown) {
    if (wanted.when !== "missing" || !(thrown instanceof Failure) || thrown.code !== "NOT_FOUND" || (await client.images.exists(wanted.image))) throw thrown;
  }
  if (!wanted.quiet) tell(`Unable to find image '${wanted.image}' locally`);
  await pullImage(client, wanted.image, options);
  return act();
}
