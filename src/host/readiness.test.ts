import { expect, test } from "vitest";
import { announceReady } from "./readiness.ts";

test("nobody is told where nobody asked, and the address is not kept for others", async () => {
  await announceReady({});
  const environment = { NOTIFY_SOCKET: "/nowhere/notify.sock" };
  await announceReady(environment);
  expect(environment).toEqual({});
});
