import { expect, it } from "vitest";
import { advise, findingsOfImage } from "./index.ts";
import { EMULATING } from "./testkit/hosts.ts";

const image = { architecture: "amd64", os: "linux", entrypoint: [], command: ["sh"], labels: {}, user: "", exposedPorts: [] };
const plain = { setUserIdFiles: [], initSystems: [], kernelModules: [], complete: true };
const fieldsOf = (...[facts, files, given = {}]: [typeof image, Parameters<typeof findingsOfImage>[1], Parameters<typeof findingsOfImage>[2]?]) =>
  Object.fromEntries(findingsOfImage(facts, files, given).map(({ field, value }) => [field, value]));

it("names who it starts as and where it listens, and nothing where there is nothing", () => {
  expect(fieldsOf(image, plain)).toEqual({ "image.user": "root" });
  const facts = { ...image, user: "app", exposedPorts: ["80/tcp"] as never[] };
  expect(fieldsOf(facts, plain)).toEqual({ "image.user": "app", "image.ports": ["80/tcp"] });
  expect(findingsOfImage({ ...image, user: "0:0" }, plain, {})[0]?.text).toContain("root");
  expect(findingsOfImage({ ...image, user: "rooted" }, plain, {})[0]?.text).toContain("not as root");
});

it("names set-user-id programs, twenty of them and how many more", () => {
  expect(fieldsOf(image, { ...plain, setUserIdFiles: ["/bin/su"] })).toMatchObject({ "image.setUserIdFiles": ["/bin/su"] });
  const many = Array.from({ length: 25 }, (_, index) => `/bin/${index}`);
  const [, finding] = findingsOfImage(image, { ...plain, setUserIdFiles: many }, {});
  expect(finding?.value).toHaveLength(21);
  expect(JSON.stringify(finding)).toMatch(/and 5 more.*25 programs.*no-new-privileges/);
});

it("names an init system that it does not start, and modules, unless somebody said more of them", () => {
  const files = { ...plain, initSystems: ["/usr/lib/systemd/systemd"], kernelModules: ["/lib/modules/6/a.ko"] };
  expect(fieldsOf(image, files)).toMatchObject({ "image.initSystem": "/usr/lib/systemd/systemd", "image.kernelModules": ["/lib/modules/6/a.ko"] });
  expect(fieldsOf(image, files, { initSystem: false, kernel: { modules: [] } })).toEqual({ "image.user": "root" });
  expect(fieldsOf({ ...image, command: ["/usr/lib/systemd/systemd"] }, files)).not.toHaveProperty(["image.initSystem"]);
});

it("says what was not read, and why", () => {
  expect(findingsOfImage(image, "no such layer", {}).at(-1)).toMatchObject({ field: "image.files", text: expect.stringContaining("no such layer") });
  expect(findingsOfImage(image, { ...plain, complete: false }, {}).at(-1)).toMatchObject({
    field: "image.files",
    text: expect.stringContaining("may be more"),
  });
});

it("is told beside the assumptions, and changes neither what is recommended nor how surely", () => {
  const question = { requirements: { trust: "own" }, host: EMULATING } as const;
  const seen = findingsOfImage(image, { ...plain, setUserIdFiles: ["/bin/su"] }, {});
  const { assumptions, ...rest } = advise({ ...question, seen });
  const { assumptions: without, ...same } = advise(question);
  expect(rest).toEqual(same);
  expect(assumptions).toEqual(expect.arrayContaining([...without, ...seen]));
});
