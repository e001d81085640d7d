//! Signals by name and number, as Docker takes them: `SIGTERM`, `TERM`, `15`.

const NAMES: [(&str, i32); 31] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// The number of a signal; undefined for what is none.
pub fn number(name: &str) -> Option<i32> {
    if let Ok(value) = name.parse::<i32>() {
        return (1..=64).contains(&value).then_some(value);
    }
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, value)) = NAMES.iter().find(|(known, _)| *known == short) {
        return Some(*value);
    }
    let from = |prefix: &str, base: i32, sign: i32| {
        let rest = short.strip_prefix(prefix)?;
        let offset = if rest.is_empty() { 0 } else { rest.strip_prefix(['+', '-'])?.parse::<i32>().ok()? };
        (0..=30).contains(&offset).then_some(base + sign * offset)
    };
    from("RTMIN", 34, 1).or_else(|| from("RTMAX", 64, -1)).filter(|value| (34..=64).contains(value))
}

/// `SIGTERM`; a number's own digits where it has no name.
pub fn name(number: i32) -> String {
    match NAMES.iter().find(|(_, value)| *value == number) {
        Some((name, _)) => format!("SIG{name}"),
        None if (34..=64).contains(&number) => format!("SIGRTMIN+{}", number - 34),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_taken_as_docker_takes_them() {
        assert_eq!(number("SIGTERM"), Some(15));
        assert_eq!(number("term"), Some(15));
        assert_eq!(number("9"), Some(9));
        assert_eq!(number("RTMIN+3"), Some(37));
        assert_eq!(number("SIGRTMAX-1"), Some(63));
        for bad in ["", "0", "65", "-1", "SIGNOPE", "SIGRTMIN+31", "RTMIN+x"] {
            assert_eq!(number(bad), None, "{bad}");
        }
        assert_eq!(name(9), "SIGKILL");
        assert_eq!(name(37), "SIGRTMIN+3");
    }
}
