import { describe, expect, it } from "vitest";
import { showListing } from "./listing.ts";
import { layOut } from "./table.ts";

const LISTING = { headings: { ID: "IMAGE ID", Names: "NAMES" }, columns: ["ID", "Names"] };
const ROWS = [
  { ID: "abc", Names: "web", Label: (name: unknown) => (name === "team" ? "red" : "") },
  { ID: "0123456789012345", Names: "wörker", Label: () => "" },
];

describe("lists", () => {
  it("are tables with Docker's columns", () => {
    expect(showListing(ROWS, LISTING, undefined)).toBe("IMAGE ID           NAMES\nabc                web\n0123456789012345   wörker\n");
    expect(showListing([], LISTING, "table")).toBe("IMAGE ID   NAMES\n");
  });

  it("are one JSON document a line, without methods", () => {
    expect(showListing(ROWS, LISTING, "json").split("\n")[0]).toBe('{"ID":"abc","Names":"web"}');
    expect(showListing([], LISTING, "json")).toBe("");
  });

  it("follow a template, with headings only where it begins with table", () => {
    expect(showListing(ROWS, LISTING, "{{.Names}}")).toBe("web\nwörker\n");
    expect(showListing(ROWS, LISTING, 'table {{.Names}}\t{{.Label "team"}}')).toBe("NAMES     team\nweb       red\nwörker    \n");
    expect(showListing(ROWS, LISTING, "{{json .}}").split("\n")[1]).toBe('{"ID":"0123456789012345","Names":"wörker"}');
  });

  it("do not count colours as width", () => {
    expect(layOut([["\u001b[31mred\u001b[0m", "x"]])).toBe("\u001b[31mred\u001b[0m       x");
  });
});
