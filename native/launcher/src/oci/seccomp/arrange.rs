//! libseccomp asks for one call after the other. The kernel asks a filter about every number of every architecture when it takes the
//! filter in, which costs a start and each exec a millisecond; the same answers from a search by halves cost a tenth of it.
//!
//! The filter is followed for whole ranges of architectures and numbers at once, as far as it looks at nothing else; where it comes to
//! look at arguments, its own instructions are kept as they stand.

use super::filter::{ARCHITECTURE, AT_LEAST, EQUAL, GREATER, Instruction, JUMP, LOAD, LONGEST, NUMBER, RETURN, verdict};
use std::collections::HashMap;

/// Never met by libseccomp's filters; a filter that would need more is left as it is.
const MOST_CELLS: usize = 20_000;
const MOST_ARCHITECTURES: usize = 32;

/// What a filter does with a range of calls.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Outcome {
    Answer(u32),
    /// It goes on here, and looks at something else than architecture and number.
    Further(usize),
}

/// First and last value.
type Range = (u32, u32);

#[derive(Clone, Copy)]
struct Cell {
    architecture: Range,
    number: Range,
    outcome: Outcome,
}

/// One entry for each range of values, by its first one.
type Ranges<T> = Vec<(u32, T)>;

/// The same answers in fewer steps, or None where that cannot be shown.
pub fn arrange(program: &[Instruction]) -> Option<Vec<Instruction>> {
    let mut cells = Vec::new();
    explore(program, &mut cells)?;
    let mut starts: Vec<u32> = cells.iter().map(|cell| cell.architecture.0).collect();
    starts.sort_unstable();
    starts.dedup();
    if starts.len() > MOST_ARCHITECTURES {
        return None;
    }
    let sections = merged(starts.into_iter().map(|start| (start, numbers(&cells, start))).collect());
    let most = LONGEST.min(2 * program.len());
    let ends = ends(program, &sections, most)?;
    let arranged = search(ARCHITECTURE, &sections, &|section| search(NUMBER, section, &|outcome| ends[outcome].clone()));
    (arranged.len() <= most && agree(program, &arranged, &cells)).then_some(arranged)
}

/// A place in the filter with what is in its accumulator there (the word of a call's data at this offset) and the calls that come to it.
struct Visit {
    at: usize,
    loaded: Option<u32>,
    architecture: Range,
    number: Range,
}

fn explore(program: &[Instruction], cells: &mut Vec<Cell>) -> Option<()> {
    let mut open = vec![Visit { at: 0, loaded: None, architecture: (0, u32::MAX), number: (0, u32::MAX) }];
    while let Some(mut visit) = open.pop() {
        let one = program.get(visit.at)?;
        let outcome = match one.code {
            RETURN => Outcome::Answer(one.k),
            LOAD if matches!(one.k, NUMBER | ARCHITECTURE) => {
                visit.loaded = Some(one.k);
                visit.at += 1;
                open.push(visit);
                continue;
            }
            LOAD => Outcome::Further(visit.at),
            JUMP => {
                visit.at += 1 + one.k as usize;
                open.push(visit);
                continue;
            }
            EQUAL | GREATER | AT_LEAST => {
                branch(visit, one, &mut open)?;
                continue;
            }
            _ => return None,
        };
        cells.push(Cell { architecture: visit.architecture, number: visit.number, outcome });
        if cells.len() > MOST_CELLS {
            return None;
        }
    }
    Some(())
}

/// Parts a visit's calls where the comparison parts them.
fn branch(visit: Visit, one: &Instruction, open: &mut Vec<Visit>) -> Option<()> {
    let (low, high) = if visit.loaded? == NUMBER { visit.number } else { visit.architecture };
    let parts: [(Option<u32>, Option<u32>); 3] = match one.code {
        EQUAL => [(Some(0), one.k.checked_sub(1)), (Some(one.k), Some(one.k)), (one.k.checked_add(1), Some(u32::MAX))],
        GREATER => [(Some(0), Some(one.k)), (one.k.checked_add(1), Some(u32::MAX)), (None, None)],
        _ => [(Some(0), one.k.checked_sub(1)), (Some(one.k), Some(u32::MAX)), (None, None)],
    };
    for part in parts {
        let (Some(first), Some(last)) = part else {
            continue;
        };
        let range = (first.max(low), last.min(high));
        if range.0 > range.1 {
            continue;
        }
        let at = visit.at + 1 + usize::from(if one.holds(range.0) { one.yes } else { one.no });
        let (architecture, number) = if visit.loaded == Some(NUMBER) { (visit.architecture, range) } else { (range, visit.number) };
        open.push(Visit { at, loaded: visit.loaded, architecture, number });
    }
    Some(())
}

/// What becomes of each number, for an architecture at which a range begins.
fn numbers(cells: &[Cell], architecture: u32) -> Ranges<Outcome> {
    let within = cells.iter().filter(|cell| (cell.architecture.0..=cell.architecture.1).contains(&architecture));
    let mut ranges: Ranges<Outcome> = within.map(|cell| (cell.number.0, cell.outcome)).collect();
    ranges.sort_unstable_by_key(|range| range.0);
    merged(ranges)
}

fn merged<T: PartialEq>(mut ranges: Ranges<T>) -> Ranges<T> {
    ranges.dedup_by(|next, last| next.1 == last.1);
    ranges
}

fn search<T>(word: u32, ranges: &[(u32, T)], leaf: &dyn Fn(&T) -> Vec<Instruction>) -> Vec<Instruction> {
    let load = (ranges.len() > 1).then(|| Instruction::new(LOAD, word));
    load.into_iter().chain(tree(ranges, leaf)).collect()
}

/// A search by halves for the range that the accumulator's value is in.
fn tree<T>(ranges: &[(u32, T)], leaf: &dyn Fn(&T) -> Vec<Instruction>) -> Vec<Instruction> {
    if let [(_, only)] = ranges {
        return leaf(only);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (below, above) = (tree(low, leaf), tree(high, leaf));
    let mut code = match u8::try_from(below.len()) {
        Ok(yes) => vec![Instruction { code: AT_LEAST, yes, no: 0, k: high[0].0 }],
        // A comparison reaches 255 instructions far, a jump everywhere.
        Err(_) => vec![Instruction { code: AT_LEAST, yes: 0, no: 1, k: high[0].0 }, Instruction::new(JUMP, below.len() as u32)],
    };
    code.extend(below);
    code.extend(above);
    code
}

/// What each outcome comes to. None where all of them, as often as they are met, are longer than `most`.
fn ends(program: &[Instruction], sections: &[(u32, Ranges<Outcome>)], most: usize) -> Option<HashMap<Outcome, Vec<Instruction>>> {
    let (mut ends, mut length) = (HashMap::new(), 0);
    for (_, outcome) in sections.iter().flat_map(|(_, section)| section) {
        length += ends.entry(*outcome).or_insert_with(|| finish(program, *outcome)).len();
        if length > most {
            return None;
        }
    }
    Some(ends)
}

fn finish(program: &[Instruction], outcome: Outcome) -> Vec<Instruction> {
    let from = match outcome {
        Outcome::Answer(answer) => return vec![Instruction::new(RETURN, answer)],
        Outcome::Further(from) => from,
    };
    let mut needed = vec![false; program.len()];
    needed[from] = true;
    for at in from..program.len() {
        if needed[at] {
            program[at].next(at).into_iter().for_each(|next| needed[next] = true);
        }
    }
    // Jumps go forward only, so that each passes over as many instructions or fewer.
    let passed = |at: usize, over: usize| needed[at + 1..at + 1 + over].iter().filter(|needed| **needed).count();
    let kept = program.iter().enumerate().filter(|(at, _)| needed[*at]);
    kept.map(|(at, one)| match one.code {
        JUMP => Instruction::new(JUMP, passed(at, one.k as usize) as u32),
        _ => Instruction { yes: passed(at, one.yes.into()) as u8, no: passed(at, one.no.into()) as u8, ..*one },
    })
    .collect()
}

/// Asks both about the first and the last call of each range, with arguments of zeros and of ones: what guards a sandbox is not only reasoned about.
fn agree(program: &[Instruction], arranged: &[Instruction], cells: &[Cell]) -> bool {
    let calls = cells.iter().flat_map(|cell| [(cell.architecture.0, cell.number.0), (cell.architecture.1, cell.number.1)]);
    calls.flat_map(|call| [(call, 0), (call, u32::MAX)]).all(|((architecture, number), filling)| {
        let mut data = [filling; 16];
        data[(ARCHITECTURE / 4) as usize] = architecture;
        data[(NUMBER / 4) as usize] = number;
        verdict(program, &data) == verdict(arranged, &data)
    })
}

#[cfg(test)]
mod tests {
    use super::super::filter::{AND, ANY_BIT, bytes, parse};
    use super::*;
    use std::collections::BTreeSet;

    /// What crun 1.8.1 with libseccomp 2.5.4 makes of Docker's profile for a process with Docker's capabilities (a container's `seccomp.bpf`).
    const DOCKER: &[u8] = include_bytes!("docker.bpf");
    const X86_64: u32 = 0xc000_003e;

    fn docker() -> Vec<Instruction> {
        parse(DOCKER).expect("a filter")
    }

    fn compare(code: u16, k: u32, yes: u8, no: u8) -> Instruction {
        Instruction { code, yes, no, k }
    }

    fn steps(program: &[Instruction], data: &[u32; 16]) -> usize {
        let (mut at, mut steps) = (0, 0);
        while program[at].code != RETURN {
            let prefix = &program[..=at];
            let value = prefix.iter().rev().find(|one| one.code == LOAD).map_or(0, |one| data[one.k as usize / 4]);
            at = if program[at].compares() { program[at].next(at)[usize::from(!program[at].holds(value))] } else { program[at].next(at)[0] };
            steps += 1;
        }
        steps
    }

    /// Every number that the filter or the kernel knows, beside every architecture, with arguments on both sides of all that it asks about.
    #[test]
    fn dockers_filter_answers_as_before() {
        let program = docker();
        let arranged = arrange(&program).expect("arranged");
        let near = |one: &Instruction| [one.k.wrapping_sub(1), one.k, one.k.wrapping_add(1), !one.k];
        let asks = |one: &&Instruction| one.compares() || one.code == AND;
        let asked: BTreeSet<u32> = program.iter().filter(asks).flat_map(near).chain(0..600).chain(0x4000_0000..0x4000_0300).collect();
        let architectures = asked.iter().filter(|word| matches!(*word >> 16, 0xc000 | 0x4000)).chain(&[0, u32::MAX]);
        let arguments = program.iter().enumerate().filter(|(_, one)| one.code == LOAD && one.k > ARCHITECTURE).flat_map(|(at, _)| program[at..].iter().take(4));
        let words: BTreeSet<u32> = arguments.filter(asks).flat_map(near).chain([0, 1, u32::MAX]).collect();
        let mut calls = 0;
        for architecture in architectures {
            for number in &asked {
                for word in &words {
                    for high in [0, u32::MAX] {
                        let mut data = [*word; 16];
                        data[0] = *number;
                        data[1] = *architecture;
                        (5..16).step_by(2).for_each(|place| data[place] = high);
                        assert_eq!(verdict(&program, &data), verdict(&arranged, &data), "{data:x?}");
                        calls += 1;
                    }
                }
            }
        }
        assert!(calls > 500_000, "{calls}");
    }

    #[test]
    fn it_is_shorter_and_its_ways_are() {
        let (program, arranged) = (docker(), arrange(&docker()).expect("arranged"));
        assert!(arranged.len() < program.len(), "{} {}", arranged.len(), program.len());
        let ways = |program: &[Instruction]| (0..460).map(|number| steps(program, &[number, X86_64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])).max();
        assert!(ways(&arranged) < Some(24), "{:?} {:?}", ways(&program), ways(&arranged));
        assert_eq!(parse(&bytes(&arranged)), Some(arranged));
    }

    #[test]
    fn arguments_are_asked_as_before() {
        let program = [
            Instruction::new(LOAD, NUMBER),
            compare(EQUAL, 7, 0, 3),
            Instruction::new(LOAD, 16),
            Instruction::new(AND, 0xff),
            compare(EQUAL, 3, 1, 0),
            Instruction::new(RETURN, 1),
            Instruction::new(RETURN, 2),
        ];
        let arranged = arrange(&program).expect("arranged");
        for (number, argument, answer) in [(6, 3, 1), (7, 3, 2), (7, 0x103, 2), (7, 4, 1), (8, 3, 1)] {
            let mut data = [0; 16];
            (data[0], data[4]) = (number, argument);
            assert_eq!((verdict(&program, &data), verdict(&arranged, &data)), (answer, answer), "{number} {argument}");
        }
    }

    /// The control for the checks above: they see an answer that differs.
    #[test]
    fn a_filter_that_answers_otherwise_is_noticed() {
        let program = docker();
        let mut cells = Vec::new();
        explore(&program, &mut cells).expect("explored");
        let mut other = arrange(&program).expect("arranged");
        let at = other.iter().position(|one| one.code == AT_LEAST && one.k < 400 && one.k > 0).expect("a comparison");
        other[at].k += 1;
        assert!(!agree(&program, &other, &cells));
    }

    #[test]
    fn what_cannot_be_followed_is_left_as_it_is() {
        let answers = [Instruction::new(RETURN, 1), Instruction::new(RETURN, 2)];
        let led = |first: &[Instruction]| arrange(&[first, &answers].concat());
        assert_eq!(led(&[Instruction::new(LOAD, NUMBER), compare(ANY_BIT, 4, 0, 1)]), None, "bits of the number");
        assert_eq!(led(&[Instruction::new(LOAD, NUMBER), Instruction::new(AND, 4), compare(EQUAL, 4, 0, 1)]), None, "a part of the number");
        assert_eq!(led(&[compare(EQUAL, 4, 0, 1)]), None, "nothing loaded");
    }

    /// Every other number has an answer of its own, which a search writes out for each.
    #[test]
    fn what_would_be_longer_than_the_kernel_takes_is_left_as_it_is() {
        let alternating = |numbers: u32| {
            let asked = (0..numbers).flat_map(|number| [compare(EQUAL, 2 * number, 0, 2), Instruction::new(JUMP, 0), Instruction::new(RETURN, 1)]);
            let program: Vec<Instruction> = [Instruction::new(LOAD, NUMBER)].into_iter().chain(asked).chain([Instruction::new(RETURN, 2)]).collect();
            assert!(parse(&bytes(&program)).is_some(), "{} instructions", program.len());
            program
        };
        assert!(arrange(&alternating(900)).is_some_and(|arranged| parse(&bytes(&arranged)).is_some()));
        assert!(arrange(&alternating(1300)).is_none());
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&DOCKER[..DOCKER.len() - 3]), None, "cut short");
        assert_eq!(parse(&bytes(&[compare(EQUAL, 1, 0, 1), Instruction::new(RETURN, 0)])), None, "leads outside");
        assert_eq!(parse(&bytes(&[Instruction::new(LOAD, 62), Instruction::new(RETURN, 0)])), None, "between two words");
        assert_eq!(parse(&bytes(&[Instruction::new(0x16, 0)])), None, "returns the accumulator");
        assert_eq!(parse(&bytes(&[Instruction { yes: 200, ..Instruction::new(RETURN, 0) }])), None, "passes over without a comparison");
    }
}
