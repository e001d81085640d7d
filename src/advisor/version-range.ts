/** Ranges of kernel versions, as people write them: `>=6.8`, `4.19.x`, `6.1`, `>=5.10 <6`. Suffixes of a distribution (`-13-amd64`) do not count. */

type Version = readonly number[];

interface Bound {
  readonly operator: ">=" | ">" | "<=" | "<" | "=";
  readonly version: Version;
}

/** Undefined where the text is no range. */
export function parseRange(text: string): ((release: string) => boolean) | undefined {
  const words = text
    .trim()
    .replaceAll(/(>=|<=|>|<|=|\^|~)\s+/g, "$1")
    .split(/[\s,]+/)
    .filter((word) => word !== "");
  const bounds = words.map(parseBound);
  if (bounds.length === 0 || bounds.includes(undefined)) return undefined;
  return (release) => {
    const version = parseVersion(release);
    return version !== undefined && bounds.every((bound) => bound !== undefined && within(version, bound));
  };
}

function parseBound(word: string): Bound | undefined {
  const match = /^(>=|<=|>|<|=|\^|~|)v?(\d+(?:\.\d+)*)(?:\.[x*])?$/.exec(word);
  if (match === null) return undefined;
  const [, sign, digits] = match as unknown as [string, string, string];
  const version = digits.split(".").map(Number);
  if (sign === "^") return { operator: "=", version: version.slice(0, 1) };
  if (sign === "~") return { operator: "=", version: version.slice(0, 2) };
  return { operator: sign === "" ? "=" : (sign as Bound["operator"]), version };
}

function parseVersion(release: string): Version | undefined {
  const digits = /^v?(\d+(?:\.\d+)*)/.exec(release)?.[1];
  return digits?.split(".").map(Number);
}

/** `=` compares as many parts as the bound has: 6.1 means any 6.1.x. So do `<=` and `>`. */
function within(version: Version, { operator, version: bound }: Bound): boolean {
  const order = compare(version.slice(0, bound.length), bound);
  if (operator === "=") return order === 0;
  if (operator === ">=") return order >= 0;
  if (operator === "<=") return order <= 0;
  return operator === ">" ? order > 0 : order < 0;
}

function compare(left: Version, right: Version): number {
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
