# What a container may not do whatever its capabilities and its user: the last wall behind masked paths, read-only mounts and the
# system call filter. Everything else is theirs to decide, so that no ordinary program feels this profile.

profile bulkhead-default flags=(attach_disconnected,mediate_deleted) {
  network,
  capability,
  file,
  umount,

  # Its supervisor may end it; its own processes are among themselves.
  signal (receive) peer=unconfined,
  signal (send, receive) peer=bulkhead-default,
  ptrace (trace, read, tracedby, readby) peer=bulkhead-default,

  # A mount could lie over what the paths below stand for.
  deny mount,

  # The host's knobs: files of /proc itself and directories that belong to no process.
  deny /proc/* w,
  deny /proc/{sysrq-trigger,kcore,mem,kmem} rwklx,
  deny /proc/{acpi,asound,bus,driver,dynamic_debug,fs,irq,mpt,scsi,tty}/** wklx,
  # Of sysctls only shared memory's, which is the container's own.
  deny /proc/sys/[^k]** wklx,
  deny /proc/sys/kernel/[^s]** wklx,
  deny /proc/sys/kernel/s[^h]** wklx,

  # Devices, drivers and the kernel itself; of /sys/fs only control groups are a container's.
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/kernel/security/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
}
