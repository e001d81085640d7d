//! Which devices a workload may open. v1: a list in the devices controller. v2: a small program in the kernel's own machine.

use crate::files;
use crate::layout::{Layout, Version};
use bulkhead_wire::plan::DeviceSpec;
use bulkhead_wire::{Code, Failure};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// One rule; `None` stands for every number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub kind: char,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: String,
}

/// What Docker gives every container: nodes may be made, the harmless ones and terminals used.
pub fn defaults() -> Vec<Rule> {
    let rule = |kind, major, minor, access: &str| Rule { kind, major, minor, access: access.to_string() };
    let mut rules = vec![rule('c', None, None, "m"), rule('b', None, None, "m")];
    for minor in [3, 5, 7, 8, 9] {
        rules.push(rule('c', Some(1), Some(minor), "rwm"));
    }
    rules.push(rule('c', Some(5), Some(0), "rwm"));
    rules.push(rule('c', Some(5), Some(2), "rwm"));
    rules.push(rule('c', Some(136), None, "rwm"));
    rules
}

/// The defaults, and what was asked for.
pub fn rules_for(asked: &[DeviceSpec]) -> Result<Vec<Rule>, Failure> {
    let mut rules = defaults();
    for device in asked {
        rules.push(rule_of(device)?);
    }
    Ok(rules)
}

/// A rule for a device of the host, found by looking at its node.
pub fn rule_of(device: &DeviceSpec) -> Result<Rule, Failure> {
    let wrong = |what: &str| Failure::new(Code::InvalidSpec, format!("the device {} {what}", bulkhead_wire::failure::quote(&device.host_path)));
    let meta = std::fs::metadata(&device.host_path).map_err(|error| wrong(&format!("cannot be used: {error}")))?;
    let kind = match meta.file_type() {
        kind if kind.is_char_device() => 'c',
        kind if kind.is_block_device() => 'b',
        _ => return Err(wrong("is not a device")),
    };
    if device.access.is_empty() || !device.access.chars().all(|letter| "rwm".contains(letter)) {
        return Err(wrong("has an access that is not made of r, w and m"));
    }
    let (major, minor) = (libc::major(meta.rdev()), libc::minor(meta.rdev()));
    Ok(Rule { kind, major: Some(major), minor: Some(minor), access: device.access.clone() })
}

/// Makes the group refuse every device but those of the rules.
pub fn confine(layout: &Layout, workload: &str, rules: &[Rule]) -> Result<(), Failure> {
    let fault = |error: std::io::Error| Failure::from_io("confine the workload's devices", &error);
    match layout.version {
        Version::V1 => {
            let Some(directory) = layout.directory("devices", workload) else { return Err(Failure::new(Code::Unavailable, "this host has no devices controller")) };
            files::write(&directory.join("devices.deny"), "a").map_err(fault)?;
            let allow = files::open(&directory.join("devices.allow"), libc::O_WRONLY | libc::O_CLOEXEC).map_err(fault)?;
            let number = |value: Option<u32>| value.map_or("*".to_string(), |value| value.to_string());
            for rule in rules {
                files::write_fd(&allow, &format!("{} {}:{} {}", rule.kind, number(rule.major), number(rule.minor), rule.access)).map_err(fault)?;
            }
            Ok(())
        }
        Version::V2 => {
            let Some(directory) = layout.directory("unified", workload) else { return Err(Failure::new(Code::Internal, "no group")) };
            attach_program(&directory, &program(rules)).map_err(fault)
        }
    }
}

/// One instruction of the kernel's eBPF machine, as `linux/bpf.h` lays it out.
type Instruction = u64;

fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    u64::from(code) | u64::from(destination) << 8 | u64::from(source) << 12 | u64::from(offset as u16) << 16 | u64::from(immediate as u32) << 32
}

const LOAD_WORD: u8 = 0x61;
const MOVE_IMMEDIATE: u8 = 0xb7;
const MOVE_REGISTER_32: u8 = 0xbc;
const AND_IMMEDIATE_32: u8 = 0x54;
const SHIFT_RIGHT_32: u8 = 0x74;
const JUMP_NOT_EQUAL: u8 = 0x55;
const JUMP_NOT_EQUAL_REGISTER: u8 = 0x5d;
const EXIT: u8 = 0x95;

/// The rules as a BPF_PROG_TYPE_CGROUP_DEVICE program: r2 type, r3 access, r4 major, r5 minor; the first match allows.
fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut code = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(AND_IMMEDIATE_32, 2, 0, 0, 0xffff),
        instruction(LOAD_WORD, 3, 1, 0, 0),
        instruction(SHIFT_RIGHT_32, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules {
        let mut block: Vec<(u8, u8, u8, i32)> = Vec::new();
        block.push((JUMP_NOT_EQUAL, 2, 0, if rule.kind == 'b' { 1 } else { 2 }));
        let bits = rule.access.chars().fold(0, |bits, letter| bits | match letter { 'm' => 1, 'r' => 2, 'w' => 4, _ => 0 });
        if bits != 7 {
            // Everything asked for must be among what the rule gives.
            block.push((MOVE_REGISTER_32, 6, 3, 0));
            block.push((AND_IMMEDIATE_32, 6, 0, bits));
            block.push((JUMP_NOT_EQUAL_REGISTER, 6, 3, 0));
        }
        if let Some(major) = rule.major {
            block.push((JUMP_NOT_EQUAL, 4, 0, major as i32));
        }
        if let Some(minor) = rule.minor {
            block.push((JUMP_NOT_EQUAL, 5, 0, minor as i32));
        }
        let length = block.len() + 2;
        for (at, (operation, destination, source, immediate)) in block.into_iter().enumerate() {
            let jumps = matches!(operation, JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER);
            code.push(instruction(operation, destination, source, if jumps { (length - at - 1) as i16 } else { 0 }, immediate));
        }
        code.push(instruction(MOVE_IMMEDIATE, 0, 0, 0, 1));
        code.push(instruction(EXIT, 0, 0, 0, 0));
    }
    code.push(instruction(MOVE_IMMEDIATE, 0, 0, 0, 0));
    code.push(instruction(EXIT, 0, 0, 0, 0));
    code
}

const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    program_type: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
struct AttachAttributes {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

fn attach_program(directory: &Path, code: &[Instruction]) -> std::io::Result<()> {
    let load = LoadAttributes {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: code.len() as u32,
        instructions: code.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        ..LoadAttributes::default()
    };
    let program = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &load, size_of::<LoadAttributes>()) };
    if program < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let program = unsafe { OwnedFd::from_raw_fd(program as i32) };
    let group = files::open(directory, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC)?;
    let attach = AttachAttributes {
        target: group.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    match unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &attach, size_of::<AttachAttributes>()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the few instructions that `program` uses.
    fn allows(code: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0u64; 11];
        let mut at = 0;
        loop {
            let word = code[at];
            let (operation, destination, source) = (word as u8, (word >> 8 & 15) as usize, (word >> 12 & 15) as usize);
            let (offset, immediate) = ((word >> 16) as i16, (word >> 32) as i32);
            at += 1;
            match operation {
                LOAD_WORD => registers[destination] = u64::from(context[offset as usize / 4]),
                MOVE_IMMEDIATE => registers[destination] = immediate as u64,
                MOVE_REGISTER_32 => registers[destination] = registers[source] & 0xffff_ffff,
                AND_IMMEDIATE_32 => registers[destination] &= u64::from(immediate as u32),
                SHIFT_RIGHT_32 => registers[destination] >>= immediate,
                JUMP_NOT_EQUAL if registers[destination] != immediate as u64 => at += offset as usize,
                JUMP_NOT_EQUAL_REGISTER if registers[destination] != registers[source] => at += offset as usize,
                JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER => {}
                EXIT => return registers[0] == 1,
                other => panic!("operation {other:#x} is not one of ours"),
            }
        }
    }

    #[test]
    fn the_default_program_allows_null_and_refuses_disks() {
        let code = program(&defaults());
        assert!(allows(&code, 2, 6, 1, 3), "read and write /dev/null");
        assert!(allows(&code, 2, 1, 99, 9), "mknod of anything");
        assert!(allows(&code, 2, 6, 136, 7), "a pseudo-terminal");
        assert!(!allows(&code, 1, 2, 8, 0), "read of a disk");
        assert!(!allows(&code, 2, 2, 1, 1), "read of /dev/mem");
        assert!(!allows(&code, 2, 3, 99, 9), "mknod and read at once");
    }
}
