//! Damaged archives by the thousand: whatever the bytes, the unpacker answers, in time, within its memory, and leaves nothing half-made.
//! BULKHEAD_FUZZ_ROUNDS sets how many; BULKHEAD_FUZZ_SEED begins elsewhere.

mod support;

use std::fs;

use support::*;

fn seeds() -> Vec<Vec<u8>> {
    let pax = [record("path", b"some/where"), record("SCHILY.xattr.user.k", b"v"), record("mtime", b"1.5")].concat();
    let sparse = [record("GNU.sparse.major", b"1"), record("GNU.sparse.minor", b"0"), record("GNU.sparse.name", b"s"), record("GNU.sparse.realsize", b"4096")].concat();
    let map = "2\n0\n4\n2048\n4\n".to_owned() + &"\0".repeat(512 - 13) + "abcdefgh";
    let items = [
        Item { name: b"pax", kind: b'x', data: &pax, ..FILE },
        file("f", "contents"),
        Item { name: b"pax", kind: b'x', data: &sparse, ..FILE },
        file("s", &map),
        Item { name: b"././@LongLink", kind: b'L', data: b"a/long/name\0", ..FILE },
        file("short", "x"),
        directory("d/"),
        file("d/.wh.gone", ""),
        link(b'2', "l", "d"),
        file("l/through", "t"),
        link(b'1', "h", "l/through"),
        link(b'6', "fifo", ""),
    ];
    vec![archive(&items), archive(&items[6..]), archive(&items[..4])]
}

/// Changes a few bytes, with a liking for headers, whose checksum is then often made right again.
fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at.max(512)),
            3 => {
                let piece = bytes[at / 512 * 512..].iter().take(512).copied().collect::<Vec<_>>();
                let to = random.below(bytes.len()) / 512 * 512;
                bytes.splice(to..to, piece);
            }
            4 => {
                let field = [0usize, 100, 108, 116, 124, 136, 156, 157, 257, 329, 345, 386, 482][random.below(13)];
                let start = at / 512 * 512 + field;
                for byte in bytes.iter_mut().skip(start).take(1 + random.below(12)) {
                    *byte = [b'0', b'7', b'9', b'/', b'.', 0, 0x80, 0xff][random.below(8)];
                }
            }
            _ => bytes.extend_from_slice(&seed[..seed.len().min(512)]),
        }
    }
    if random.below(4) != 0 {
        for at in (0..bytes.len().saturating_sub(511)).step_by(512) {
            if &bytes[at + 257..at + 262] == b"ustar"
                && let Ok(block) = <&mut [u8; 512]>::try_from(&mut bytes[at..at + 512])
            {
                seal(block);
            }
        }
    }
    bytes
}

#[test]
fn damaged_archives_are_answered_and_leave_nothing() {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (rounds, seed) = (number("BULKHEAD_FUZZ_ROUNDS", 2000), number("BULKHEAD_FUZZ_SEED", 0x9e37_79b9));
    let scratch = Scratch::new("mutated");
    fs::write(scratch.path("canary"), "untouched").unwrap();
    let mut random = Random(seed);
    let (seeds, mut whole) = (seeds(), 0);
    for seed in &seeds {
        unpack_bytes(&scratch, "seed", seed).unwrap();
        fs::remove_dir_all(scratch.path("layers/seed")).unwrap();
    }
    for round in 0..rounds {
        let bytes = mutate(&seeds[round as usize % seeds.len()], &mut random);
        match unpack_bytes(&scratch, "t", &bytes) {
            Ok(_) => {
                whole += 1;
                fs::remove_dir_all(scratch.path("layers/t")).unwrap();
            }
            // A damaged archive is never called a fault of ours.
            Err(said) => assert!(said.starts_with("CORRUPT_DATA") || said.starts_with("EXHAUSTED"), "round {round}: {said}"),
        }
        assert_eq!(fs::read_dir(scratch.path("layers")).unwrap().count(), 0, "round {round} left something");
        assert_eq!(fs::read_to_string(scratch.path("canary")).unwrap(), "untouched", "round {round}");
    }
    assert!(whole > 0 && whole < rounds, "{whole} of {rounds} were unpacked: the damage is too small or too great to find anything");
}
