/** Services of the host that no workload's network leads to. */

import type { Vector } from "../vector.ts";

const GATEWAY = "gateway=$(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p')";

export const NETWORK_VECTORS: readonly Vector[] = [
  {
    id: "abstract-socket",
    deed: "speak to an abstract socket of the host",
    follows: "CVE-2020-15257",
    attempt: (bed) => `talk abstract ${bed.abstractName}`,
    effect: "secret",
    told: /Connection refused/,
    control: { host: { NetworkMode: "host" } },
  },
  {
    id: "host-loopback",
    deed: "speak to a service on the host's loopback, by its address or by the gateway's",
    follows: "CVE-2020-8558",
    attempt: (bed) =>
      `${GATEWAY}; for address in 127.0.0.1 $gateway; do nc -w 2 $address ${bed.port} </dev/null; done; ip route add 127.1.0.0/16 via $gateway; nc -w 1 127.1.0.1 ${bed.port} </dev/null`,
    effect: "secret",
    control: { host: { NetworkMode: "host" } },
  },
];
