/** Figures in words, in the order in which they are shown. */

export const TITLES: Readonly<Record<string, string>> = {
  startup_to_ready: "start to first byte",
  run_time: "start to exit",
  exec: "exec of true",
  memory_overhead: "memory per instance (PSS)",
  memory_available_lost: "memory per instance (host)",
  disk_per_instance: "disk per instance",
  disk_tenth_instance: "disk of the tenth on one base",
  image_size: "image",
  cpu_integer: "integer step",
  cpu_float: "floating step",
  syscall: "system call",
  fork: "fork and wait",
  spawn: "fork, exec and wait",
  context_switch: "context switch",
  page_fault: "page fault",
  memory_copy: "copy of 8 MiB",
  cpu_overhead: "processor cost over host",
  syscall_overhead: "system-call cost over host",
  startup_over_container: "start beyond container's",
  kernel_identity: "kernel",
};
