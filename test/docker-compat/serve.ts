/**
 * Serves the API over the engine over the fake driver, for the stock client to be driven against:
 *
 *     node test/docker-compat/serve.ts /tmp/api.sock &
 *     DOCKER_HOST=unix:///tmp/api.sock docker run --rm busybox echo hello
 */

import { startFakeDaemon } from "../../src/api/testkit/fake-daemon.ts";

const socket = process.argv[2] ?? "/tmp/bulkhead-fake.sock";
const say = (level: string) => (fields: object, message: string) => console.error(level, message, fields);
const daemon = await startFakeDaemon({ socket, log: { debug() {}, info() {}, warn: say("warn"), error: say("error") } });
daemon.images.offered.add("alpine:3");
console.log(`listening on unix://${socket}`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void daemon.close());
