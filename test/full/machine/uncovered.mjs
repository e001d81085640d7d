// Runs a shell command in a container without masked and read-only paths and with the host's ids, through the API: what else would deny it is
// out of the way. node uncovered.mjs SCRIPT [SECURITY_OPTION]
import { request } from "node:http";

const [script, ...options] = process.argv.slice(2);
const call = (method, path, body) =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath: "/run/bulkhead/bulkhead.sock", method, path, headers: { "Content-Type": "application/json" } }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => (response.statusCode < 400 ? resolve(Buffer.concat(chunks)) : reject(new Error(String(Buffer.concat(chunks))))));
    });
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });

const HostConfig = { NetworkMode: "none", UsernsMode: "host", MaskedPaths: [], ReadonlyPaths: [], SecurityOpt: options };
const { Id } = JSON.parse(await call("POST", "/v1.47/containers/create", { Image: "busybox", Cmd: ["sh", "-c", `exec 2>&1; ${script}`], Tty: true, HostConfig }));
await call("POST", `/v1.47/containers/${Id}/start`);
await call("POST", `/v1.47/containers/${Id}/wait`);
console.log(String(await call("GET", `/v1.47/containers/${Id}/logs?stdout=1&stderr=1`)).trim());
await call("DELETE", `/v1.47/containers/${Id}?force=1`);
