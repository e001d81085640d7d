import { expect, test } from "vitest";
import { parseAccounts, resolveUser } from "./accounts.ts";

const ACCOUNTS = parseAccounts(
  "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:33::/var/www:/bin/false\n1000:x:7:7::/home/odd:\n:x:1:1::\nbig:x:99999999999:1::/:\napp:x:1000:1000::/home/app:",
  "root:x:0:\nwheel:x:10:root,app\nwww:x:33:\naudio:x:29:app, web\nbad:x:abc:\n",
);

test.each([
  ["", [], { uid: 0, gid: 0, additionalGids: [10], home: "/root" }],
  ["root", [], { uid: 0, gid: 0, additionalGids: [10], home: "/root" }],
  ["app", [], { uid: 1000, gid: 1000, additionalGids: [10, 29], home: "/home/app" }],
  ["33", [], { uid: 33, gid: 33, additionalGids: [], home: "/var/www" }],
  ["1000", [], { uid: 7, gid: 7, additionalGids: [], home: "/home/odd" }],
  ["4242", [], { uid: 4242, gid: 0, additionalGids: [], home: "/" }],
  ["4242:4243", [], { uid: 4242, gid: 4243, additionalGids: [], home: "/" }],
  ["app:www", [], { uid: 1000, gid: 33, additionalGids: [], home: "/home/app" }],
  ["web", ["audio", "777"], { uid: 33, gid: 33, additionalGids: [29, 777], home: "/var/www" }],
  [":www", [], { uid: 0, gid: 33, additionalGids: [], home: "/root" }],
])("user %j with groups %j is what Docker makes of it", (user, groups, expected) => {
  expect(resolveUser(user, groups, ACCOUNTS)).toEqual(expected);
});

test.each(["nobody", "big", "-1", "99999999999", "app:nogroup", "0x10"])("user %j is refused by name", (user) => {
  expect(() => resolveUser(user, [], ACCOUNTS)).toThrow(expect.objectContaining({ code: "INVALID_SPEC" }));
});

test("an image without account files knows root and numbers", () => {
  const none = parseAccounts("", "");
  expect(resolveUser("", [], none)).toEqual({ uid: 0, gid: 0, additionalGids: [], home: "/" });
  expect(resolveUser("5:6", ["7"], none)).toEqual({ uid: 5, gid: 6, additionalGids: [7], home: "/" });
});
