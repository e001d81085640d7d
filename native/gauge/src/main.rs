//! One static binary whose work is the same to the byte behind every boundary and on the plain host.
//!
//!     gauge cpu-integer | cpu-float | memory | syscall | fork | spawn | context-switch | page-fault [OPERATIONS]
//!     gauge disk-sequential | disk-random | disk-synced DIRECTORY [OPERATIONS]
//!     gauge net-send | net-request ADDRESS:PORT [OPERATIONS]      to a `gauge serve PORT`
//!     gauge kernel
//!
//! Prints one JSON object: `{"measure", "operations", "nanoseconds"}`; `kernel` prints `{"release", "version"}`, `serve` `{"port"}`. Time is the
//! monotonic clock of wherever it runs. The number of operations is fixed per measure and can be set: `gauge syscall 100000`.

mod disk;
mod network;

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::Instant;

const USAGE: &str = "usage: gauge cpu-integer|cpu-float|memory|syscall|fork|spawn|context-switch|page-fault [OPERATIONS]
       gauge disk-sequential|disk-random|disk-synced DIRECTORY [OPERATIONS]
       gauge net-send|net-request ADDRESS:PORT [OPERATIONS]
       gauge serve PORT | kernel";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["nothing"] => Ok(()),
        ["kernel"] => {
            kernel();
            Ok(())
        }
        ["serve", port] => port.parse().map_err(|_| unusable()).and_then(network::serve),
        [measure, place, rest @ ..] if measure.starts_with("disk-") || measure.starts_with("net-") => elsewhere(measure, place, rest),
        [measure, rest @ ..] => inside(measure, rest),
        [] => Err(unusable()),
    };
    if let Err(error) = outcome {
        eprintln!("gauge: {error}");
        std::process::exit(if error.kind() == io::ErrorKind::InvalidInput { 2 } else { 1 });
    }
}

fn unusable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, USAGE)
}

/// How many operations were asked for; the measure's own number where nothing was said.
fn count(rest: &[&str], otherwise: u64) -> io::Result<u64> {
    match rest {
        [] => Ok(otherwise),
        [text] => text.parse().map_err(|_| unusable()),
        _ => Err(unusable()),
    }
}

/// What needs nothing but processor, memory and kernel.
fn inside(measure: &str, rest: &[&str]) -> io::Result<()> {
    let (operations, work): (u64, fn(u64)) = match measure {
        "cpu-integer" => (30_000_000, cpu_integer),
        "cpu-float" => (10_000_000, cpu_float),
        "memory" => (64, memory),
        "syscall" => (300_000, syscall),
        "fork" => (200, fork),
        "spawn" => (100, spawn),
        "context-switch" => (10_000, context_switch),
        "page-fault" => (4_096, page_fault),
        _ => return Err(unusable()),
    };
    time(measure, count(rest, operations)?, |operations| {
        work(operations);
        Ok(())
    })
}

/// What goes to a directory or to a server.
fn elsewhere(measure: &str, place: &str, rest: &[&str]) -> io::Result<()> {
    let directory = Path::new(place);
    match measure {
        "disk-sequential" => time(measure, count(rest, 32)?, |pieces| disk::sequential(directory, pieces)),
        "disk-random" => time(measure, count(rest, 2_000)?, |writes| disk::random(directory, writes)),
        "disk-synced" => time(measure, count(rest, 50)?, |writes| disk::synced(directory, writes)),
        "net-send" => time(measure, count(rest, 64)?, |pieces| network::send(place, pieces)),
        "net-request" => time(measure, count(rest, 2_000)?, |times| network::request(place, times)),
        _ => Err(unusable()),
    }
}

fn time(measure: &str, operations: u64, work: impl Fn(u64) -> io::Result<()>) -> io::Result<()> {
    work(operations / 20 + 1)?; // warm: pages touched, code translated
    let begin = Instant::now();
    work(operations)?;
    let nanoseconds = begin.elapsed().as_nanos();
    println!("{{\"measure\":\"{measure}\",\"operations\":{operations},\"nanoseconds\":{nanoseconds}}}");
    Ok(())
}

/// xorshift rounds mixed as a hash does: integer work that no compiler can fold.
fn cpu_integer(rounds: u64) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state = state.wrapping_mul(0xff51_afd7_ed55_8ccd).wrapping_add(round);
    }
    black_box(state);
}

/// The logistic map: every step needs the one before.
fn cpu_float(rounds: u64) {
    let mut x = black_box(0.5_f64);
    for _ in 0..rounds {
        x = 3.999 * x * (1.0 - x);
    }
    black_box(x);
}

/// Copies 8 MiB a round, larger than most second-level caches.
fn memory(rounds: u64) {
    const BYTES: usize = 8 << 20;
    let from = vec![1_u8; BYTES];
    let mut to = vec![0_u8; BYTES];
    for _ in 0..rounds {
        to.copy_from_slice(black_box(&from));
        black_box(&to);
    }
}

/// `getppid`: never cached by any libc, does nothing, so that only the way in and out is timed.
fn syscall(calls: u64) {
    for _ in 0..calls {
        // SAFETY: no arguments, no effect.
        unsafe { libc::syscall(libc::SYS_getppid) };
    }
}

fn fork(times: u64) {
    for _ in 0..times {
        // SAFETY: the child calls only _exit.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(0);
            }
            let mut status = 0;
            libc::waitpid(child, &mut status, 0);
        }
    }
}

/// Fork, exec of this very program with nothing to do, wait: what an exec costs where it happens.
fn spawn(times: u64) {
    for _ in 0..times {
        let status = std::process::Command::new("/proc/self/exe").arg("nothing").status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("gauge: cannot run itself");
            std::process::exit(1);
        }
    }
}

/// One byte to a child and back over two pipes.
fn context_switch(times: u64) {
    // SAFETY: descriptors are ours, buffers outlive the calls, and the child leaves by _exit.
    unsafe {
        let (mut there, mut back) = ([0_i32; 2], [0_i32; 2]);
        if libc::pipe(there.as_mut_ptr()) != 0 || libc::pipe(back.as_mut_ptr()) != 0 {
            std::process::exit(1);
        }
        let child = libc::fork();
        let mut byte = [0_u8; 1];
        if child == 0 {
            libc::close(there[1]);
            while libc::read(there[0], byte.as_mut_ptr().cast(), 1) == 1 {
                libc::write(back[1], byte.as_ptr().cast(), 1);
            }
            libc::_exit(0);
        }
        for _ in 0..times {
            libc::write(there[1], byte.as_ptr().cast(), 1);
            libc::read(back[0], byte.as_mut_ptr().cast(), 1);
        }
        for descriptor in [there[0], there[1], back[0], back[1]] {
            libc::close(descriptor);
        }
        let mut status = 0;
        libc::waitpid(child, &mut status, 0);
    }
}

/// First touch of fresh anonymous pages.
fn page_fault(pages: u64) {
    const PAGE: usize = 4096;
    let length = pages as usize * PAGE;
    // SAFETY: the mapping is private, touched within its length, and unmapped.
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        if at == libc::MAP_FAILED {
            std::process::exit(1);
        }
        libc::madvise(at, length, libc::MADV_NOHUGEPAGE);
        for page in 0..pages as usize {
            at.cast::<u8>().add(page * PAGE).write_volatile(1);
        }
        libc::munmap(at, length);
    }
}

fn kernel() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().replace(['"', '\\'], "'");
    println!("{{\"release\":\"{}\",\"version\":\"{}\"}}", read("/proc/sys/kernel/osrelease"), read("/proc/sys/kernel/version"));
}
