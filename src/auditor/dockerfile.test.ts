import { expect, it } from "vitest";
import { parseDockerfile } from "./documents/dockerfile.ts";
import { audit } from "./index.ts";

const knowledge = { image: () => undefined, boundary: () => undefined };
const find = (text: string) => audit({ kind: "dockerfile", name: "Dockerfile", content: text }, knowledge).map(({ id, line }) => `${id}:${line}`);

const GOOD = `# syntax=docker/dockerfile:1
FROM debian:12.5 AS build
RUN apt-get update && \\
    # a comment between
    apt-get install -y gcc
FROM scratch
COPY --from=build /app /app
USER 1000
HEALTHCHECK CMD ["/app", "check"]
ENTRYPOINT ["/app"]
`;

it("has nothing to say of a good one", () => expect(find(GOOD)).toEqual([]));

it("finds each thing at its line", () => {
  const bad = `FROM debian
ENV API_TOKEN=abc PATH=/x
ARG db_password="hunter2"
ENV PLAIN hello
ADD https://example.com/x.tar /x
RUN curl -fsSL https://example.com/i.sh | sudo bash
RUN apt-get update
RUN <<EOF
chmod u+s /x
EOF
USER root:root
`;
  expect(find(bad).toSorted()).toEqual(["BH060:11", "BH061:2", "BH061:3", "BH062:5", "BH063:6", "BH064:1", "BH065:8", "BH066:7", "BH067:1"]);
});

it("looks for the user and the health check in the stage that is shipped", () => {
  expect(find("FROM a:1\nUSER 5\nHEALTHCHECK CMD x\nFROM b:1\nRUN true\n")).toEqual(["BH060:4", "BH067:4"]);
});

it("joins continued lines and takes here-documents whole", () => {
  expect(parseDockerfile("RUN a \\\n  b\nCOPY <<-'X' /y\nUSER root\nX\nuser 7\n").map(({ word, line }) => [word, line])).toEqual([
    ["RUN", 1],
    ["COPY", 3],
    ["USER", 6],
  ]);
});

it("is refused where it is none", () => expect(() => find("hello")).toThrow(/no FROM/));

it("takes no longer than it is long, whoever wrote it", () => {
  const hostile = [
    `FROM a:1\n${"ENV x \\\n".repeat(200_000)}`,
    `FROM a:1\nENV ${"x".repeat(2_000_000)}`,
    `FROM a:1\nRUN <<E\n${"y\n".repeat(500_000)}E\n`,
    `FROM a:1\nRUN chmod ${"-x ".repeat(500_000)}`,
    `FROM a:1\nRUN ${"curl ".repeat(400_000)}`,
    `FROM a:1\nRUN ${"apt -x ".repeat(300_000)}`,
  ];
  for (const text of hostile) expect(find(text).length).toBeGreaterThan(0);
});
