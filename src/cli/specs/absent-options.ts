/** Options of `docker run` and `docker create` that are not here, each with what to do instead. The API refuses or warns about the same. */

const TUNING = "Leave it out: it only tunes, and nothing is tuned by it here.";
const WINDOWS = "Leave it out: it is for Windows containers.";
const ADDRESS = "Leave it out: the address is chosen by the network.";

export const ABSENT_OPTIONS: Readonly<Record<string, string>> = {
  "blkio-weight": TUNING,
  "blkio-weight-device": TUNING,
  "cgroup-parent": "Leave it out: control groups are the daemon's.",
  "cpu-count": WINDOWS,
  "cpu-percent": WINDOWS,
  "cpu-rt-period": "Leave it out: real-time shares of processors are not given.",
  "cpu-rt-runtime": "Leave it out: real-time shares of processors are not given.",
  "cpuset-mems": TUNING,
  "device-cgroup-rule": "Name the devices with --device.",
  "device-read-bps": TUNING,
  "device-read-iops": TUNING,
  "device-write-bps": TUNING,
  "device-write-iops": TUNING,
  "disable-content-trust": "Leave it out: images are checked by their digests.",
  gpus: "Leave it out: GPUs cannot be given to workloads yet.",
  "health-start-interval": "Use --health-interval.",
  "io-maxbandwidth": WINDOWS,
  "io-maxiops": WINDOWS,
  ip: ADDRESS,
  ip6: ADDRESS,
  "kernel-memory": "Use --memory: kernels of today have no limit of its own for it.",
  link: "Publish a port, or join a network that both share.",
  "link-local-ip": ADDRESS,
  "mac-address": "Leave it out: the address is chosen by the network.",
  "memory-swappiness": TUNING,
  "network-alias": "Leave it out: names on a network are those of the workloads.",
  "oom-kill-disable": "Leave it out: a workload above its memory is always ended.",
  "use-api-socket": "Bind the socket with --volume where the workload may rule this host.",
  "volume-driver": "Leave it out: volumes are local.",
  "volumes-from": "Name the volumes with --volume.",
};
