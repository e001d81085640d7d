/**
 * Users and groups as Docker resolves them: `user`, `uid`, `user:group`, `uid:gid` against the image's own
 * /etc/passwd and /etc/group. Both files are foreign data: bounded by who reads them, malformed lines skipped.
 */

import { Failure, quote } from "../../contract/failure.ts";
import type { OciUser } from "./oci-config.ts";

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

export interface Accounts {
  readonly users: readonly Account[];
  readonly groups: readonly Group[];
}

export interface ResolvedUser extends OciUser {
  readonly home: string;
}

const MAX_ID = 2 ** 31 - 1;

function parseId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

export function parseAccounts(passwd: string, group: string): Accounts {
  const users: Account[] = [];
  for (const line of passwd.split("\n")) {
    const [name, , uidText, gidText, , home] = line.split(":");
    const uid = parseId(uidText);
    const gid = parseId(gidText);
    if (name && uid !== undefined && gid !== undefined) users.push({ name, uid, gid, home: home || "/" });
  }
  const groups: Group[] = [];
  for (const line of group.split("\n")) {
    const [name, , gidText, members] = line.split(":");
    const gid = parseId(gidText);
    if (name && gid !== undefined) groups.push({ name, gid, members: (members ?? "").trim().split(",").filter(Boolean) });
  }
  return { users, groups };
}

/** Rejects INVALID_SPEC for a name that the image does not know. Empty is root. */
export function resolveUser(user: string, additionalGroups: readonly string[], accounts: Accounts): ResolvedUser {
  const [userPart = "", groupPart = ""] = user.split(":", 2);
  const wanted = userPart === "" ? "0" : userPart;
  // As Docker: a name wins over a number that looks like it, and a number needs no entry.
  const account = accounts.users.find((entry) => entry.name === wanted) ?? accounts.users.find((entry) => String(entry.uid) === wanted);
  const uid = account?.uid ?? parseId(wanted);
  if (uid === undefined) throw unknown("user", wanted, "passwd");
  const gid = groupPart === "" ? (account?.gid ?? 0) : resolveGroup(groupPart, accounts);
  const gids = new Set<number>();
  // Memberships count only where no group was named, as with initgroups(3).
  if (groupPart === "" && account !== undefined) {
    for (const group of accounts.groups) if (group.members.includes(account.name)) gids.add(group.gid);
  }
  for (const name of additionalGroups) gids.add(resolveGroup(name, accounts));
  return { uid, gid, additionalGids: [...gids], home: account?.home ?? "/" };
}

function resolveGroup(name: string, accounts: Accounts): number {
  const gid = accounts.groups.find((group) => group.name === name)?.gid ?? parseId(name);
  if (gid === undefined) throw unknown("group", name, "group");
  return gid;
}

function unknown(what: "user" | "group", name: string, file: string): Failure {
  return new Failure("INVALID_SPEC", `The image has no ${what} ${quote(name)}`, { remedy: `Give a number, or a ${what} that is in the image's /etc/${file}` });
}
