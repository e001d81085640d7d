import type { Socket } from "node:net";
import { expect, test } from "vitest";
import type { Launcher } from "../host/launcher-client.ts";
import { createIdentify } from "./peer.ts";

const root = { pid: 7, uid: 0, gid: 0, groups: [0] };

/** A launcher that looks the number up when `meanwhile` has happened. */
function launcherAfter(meanwhile: () => void): Launcher {
  const request = async () => {
    meanwhile();
    return root;
  };
  return { request } as unknown as Launcher;
}

test("who made a connection is told with the socket that it came by", async () => {
  const socket = { destroyed: false, _handle: { fd: 20 } } as unknown as Socket;
  expect(await createIdentify(launcherAfter(() => {}))(socket, "/s.sock")).toEqual({ ...root, socket: "/s.sock" });
});

test("a connection that closed while it was asked about gets nobody's name, for its number may be another's by then", async () => {
  const closing = { destroyed: false, _handle: { fd: 20 } as { fd: number } | null };
  const close = () => Object.assign(closing, { destroyed: true, _handle: null });
  await expect(createIdentify(launcherAfter(close))(closing as unknown as Socket, "/s.sock")).rejects.toMatchObject({ code: "CANCELLED" });
  await expect(createIdentify(launcherAfter(() => {}))(closing as unknown as Socket, "/s.sock")).rejects.toMatchObject({ code: "CANCELLED" });
});
