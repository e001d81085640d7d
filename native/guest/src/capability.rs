//! Capabilities by name, and the system call that sets them. `linux/capability.h`, version 3.

const NAMES: [&str; 41] = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
    "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
    "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
    "PERFMON", "BPF", "CHECKPOINT_RESTORE",
];

/// The set as bits. A name that is unknown here grants nothing.
pub fn bits(names: &[String]) -> u64 {
    let number = |name: &String| NAMES.iter().position(|known| name.strip_prefix("CAP_") == Some(known));
    names.iter().filter_map(number).fold(0, |set, number| set | 1 << number)
}

/// Takes everything else out of the bounding set: no set-uid program gives it back. Safe after fork.
pub fn bound(set: u64) -> bool {
    (0..NAMES.len()).filter(|number| set & (1 << number) == 0).all(|number| unsafe {
        // EINVAL: this kernel does not know so new a capability.
        libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) == 0 || crate::sys::errno() == libc::EINVAL
    })
}

/// Permitted and effective; inheritable stays empty. Safe after fork.
pub fn set(set: u64) -> bool {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Half {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let half = |bits: u32| Half { effective: bits, permitted: bits, inheritable: 0 };
    let header = Header { version: 0x2008_0522, pid: 0 };
    let data = [half(set as u32), half((set >> 32) as u32)];
    unsafe { libc::syscall(libc::SYS_capset, &header, data.as_ptr()) == 0 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_become_the_kernel_s_numbers() {
        let of = |names: &[&str]| super::bits(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["CAP_CHOWN", "CAP_KILL"]), 0b10_0001);
        assert_eq!(of(&["CAP_SYS_ADMIN"]), 1 << 21);
        assert_eq!(of(&["CAP_CHECKPOINT_RESTORE"]), 1 << 40);
        assert_eq!(of(&["CHOWN", "CAP_NONSENSE", ""]), 0);
    }
}
