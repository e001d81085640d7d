import type { Client } from "@bulkhead/sdk";
import { expect, it } from "vitest";
import { openTemplateSubject } from "./template.ts";

/** A daemon whose machines come up as they are told to, and that counts what is asked of it. */
function daemon(start: string | undefined, makesTemplates: boolean): { readonly client: Client; readonly started: () => number } {
  let started = 0;
  const workloads = {
    create: () => Promise.resolve({ Id: "x" }),
    start: () => Promise.resolve(void (started += 1)),
    inspect: () => Promise.resolve({ Boundary: { start } }),
    remove: () => Promise.resolve(),
  };
  return { client: { workloads, system: { makesTemplates: () => Promise.resolve(makesTemplates) } } as unknown as Client, started: () => started };
}
const open = (client: Client) =>
  openTemplateSubject({ client, isolation: "m", image: "i", gaugeImage: "g", root: "/", description: { id: "m", engine: "e", version: "1", emulated: false } });

it("waits for no template where the daemon makes none, and says so", async () => {
  const { client, started } = daemon("boot", false);
  await expect(open(client)).rejects.toThrow(/switched off/);
  expect(started()).toBe(1);
});

it("is nothing where nothing boots, and begins from a template that is there", async () => {
  expect(await open(daemon(undefined, false).client)).toBeUndefined();
  expect((await open(daemon("template", true).client))?.description.id).toBe("m-template");
});
