/** Serves client zero by hand: node bench/serve-client-zero.ts SOCKET */

import { serveClientZero } from "./client-zero.ts";

const path = process.argv[2];
if (path === undefined) {
  console.error("usage: node bench/serve-client-zero.ts SOCKET");
  process.exitCode = 2;
} else {
  const server = await serveClientZero(path);
  console.log(`listening on unix://${path}`);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close().closeAllConnections());
}
