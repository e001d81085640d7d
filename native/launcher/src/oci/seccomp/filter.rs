//! The part of classic BPF that libseccomp writes, read strictly: <linux/filter.h>, Documentation/userspace-api/seccomp_filter.rst.

pub const LOAD: u16 = 0x20;
pub const JUMP: u16 = 0x05;
pub const EQUAL: u16 = 0x15;
pub const GREATER: u16 = 0x25;
pub const AT_LEAST: u16 = 0x35;
pub const ANY_BIT: u16 = 0x45;
pub const AND: u16 = 0x54;
pub const RETURN: u16 = 0x06;

/// Where struct seccomp_data has the call's number and the architecture that it was made by.
pub const NUMBER: u32 = 0;
pub const ARCHITECTURE: u32 = 4;

/// BPF_MAXINSNS, and the size of struct seccomp_data.
pub const LONGEST: usize = 4096;
const DATA_BYTES: u32 = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    pub code: u16,
    /// How many instructions a comparison that holds passes over, and one that does not.
    pub yes: u8,
    pub no: u8,
    pub k: u32,
}

impl Instruction {
    pub fn new(code: u16, k: u32) -> Self {
        Self { code, yes: 0, no: 0, k }
    }

    pub fn compares(&self) -> bool {
        matches!(self.code, EQUAL | GREATER | AT_LEAST | ANY_BIT)
    }

    pub fn holds(&self, value: u32) -> bool {
        match self.code {
            EQUAL => value == self.k,
            GREATER => value > self.k,
            AT_LEAST => value >= self.k,
            _ => value & self.k != 0,
        }
    }

    /// The instructions that may follow this one at `at`.
    pub fn next(&self, at: usize) -> Vec<usize> {
        match self.code {
            RETURN => Vec::new(),
            JUMP => vec![at + 1 + self.k as usize],
            _ if self.compares() => vec![at + 1 + self.yes as usize, at + 1 + self.no as usize],
            _ => vec![at + 1],
        }
    }
}

/// None unless every instruction is one of those above, as it is written for the kernel, and leads to another one of the program.
pub fn parse(bytes: &[u8]) -> Option<Vec<Instruction>> {
    if bytes.is_empty() || bytes.len() % 8 != 0 || bytes.len() / 8 > LONGEST {
        return None;
    }
    let word = |part: &[u8]| u32::from_ne_bytes([part[4], part[5], part[6], part[7]]);
    let program: Vec<Instruction> =
        bytes.chunks_exact(8).map(|part| Instruction { code: u16::from_ne_bytes([part[0], part[1]]), yes: part[2], no: part[3], k: word(part) }).collect();
    let sound = program.iter().enumerate().all(|(at, one)| {
        let known = match one.code {
            LOAD => one.k < DATA_BYTES && one.k % 4 == 0,
            JUMP | AND | RETURN => true,
            _ => one.compares(),
        };
        let plain = one.compares() || (one.yes, one.no) == (0, 0);
        known && plain && one.next(at).iter().all(|next| *next < program.len())
    });
    sound.then_some(program)
}

pub fn bytes(program: &[Instruction]) -> Vec<u8> {
    program
        .iter()
        .flat_map(|one| {
            let (code, k) = (one.code.to_ne_bytes(), one.k.to_ne_bytes());
            [code[0], code[1], one.yes, one.no, k[0], k[1], k[2], k[3]]
        })
        .collect()
}

/// What a parsed program answers to a call, whose struct seccomp_data is given as words.
pub fn verdict(program: &[Instruction], data: &[u32; (DATA_BYTES / 4) as usize]) -> u32 {
    let (mut at, mut value) = (0, 0u32);
    loop {
        let one = &program[at];
        match one.code {
            RETURN => return one.k,
            LOAD => value = data[one.k as usize / 4],
            AND => value &= one.k,
            JUMP => at += one.k as usize,
            _ => at += usize::from(if one.holds(value) { one.yes } else { one.no }),
        }
        at += 1;
    }
}
