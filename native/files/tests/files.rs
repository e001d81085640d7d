//! Trees written, told of and read again, in directories that stand for a workload's root. As root: owners are part of it.

use bulkhead_archive::archive::{Archive, Entry, Kind, Source};
use bulkhead_archive::failure::Failure;
use bulkhead_archive::pax::Time;
use bulkhead_archive::writer::{END, Item};
use bulkhead_files::{Streams, carry_out};
use bulkhead_wire::plan::FilesOrder;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("bulkhead-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("root/at")).unwrap();
        Scratch(path)
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    fn file(&self, name: &str) -> File {
        File::options().create(true).truncate(true).read(true).write(true).open(self.0.join(name)).unwrap()
    }

    /// Exit code, stdout and stderr.
    fn run(&self, order: &FilesOrder, input: &[u8]) -> (i32, Vec<u8>, String) {
        let own = |name: &str| self.file(&format!("{name}-{:?}", std::thread::current().id()));
        let (mut stdin, mut stdout, mut stderr) = (own("in"), own("out"), own("err"));
        stdin.write_all(input).unwrap();
        stdin.rewind().unwrap();
        let root = File::open(self.root()).unwrap().into();
        let code = carry_out(order, &root, Streams { input: stdin, output: stdout.try_clone().unwrap(), error: stderr.try_clone().unwrap() });
        let (mut out, mut err) = (Vec::new(), String::new());
        stdout.rewind().unwrap();
        stdout.read_to_end(&mut out).unwrap();
        stderr.rewind().unwrap();
        stderr.read_to_string(&mut err).unwrap();
        (code, out, err)
    }

    fn write(&self, path: &str, keep: (bool, bool), archive: &[u8]) -> String {
        let (code, out, _) = self.run(&FilesOrder::Write { path: path.into(), keep_kinds: keep.0, keep_owners: keep.1 }, archive);
        let answer: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(code == 0, answer.get("ok").is_some(), "{answer}");
        answer["failure"]["code"].as_str().unwrap_or("ok").to_string()
    }

    fn stat(&self, path: &str) -> Value {
        serde_json::from_slice(&self.run(&FilesOrder::Stat { path: path.into() }, b"").1).unwrap()
    }

    fn read(&self, path: &str) -> Vec<(Entry, Vec<u8>)> {
        let (code, out, err) = self.run(&FilesOrder::Read { path: path.into() }, b"");
        assert_eq!((code, err.as_str()), (0, ""));
        let line = out.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let mut archive = Archive::new(Bytes(out[line..].to_vec(), 0));
        let mut found = Vec::new();
        while let Some(entry) = archive.next_entry().unwrap() {
            let mut data = Vec::new();
            loop {
                let piece = archive.data().unwrap();
                if piece.is_empty() {
                    break;
                }
                data.extend_from_slice(piece);
            }
            found.push((entry, data));
        }
        assert!(archive.ended);
        found
    }

    fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = self.read(path).into_iter().map(|(entry, _)| String::from_utf8(entry.path).unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Bytes(Vec<u8>, usize);

impl Source for Bytes {
    fn next(&mut self, most: usize) -> Result<&[u8], Failure> {
        let from = self.1;
        self.1 = self.0.len().min(from.saturating_add(most));
        Ok(&self.0[from..self.1])
    }
}

const PLAIN: Item<'static> = Item { path: b"f", link: b"", kind: b'0', mode: 0o644, uid: 0, gid: 0, size: 0, mtime: Time { seconds: 1_000_000_000, nanoseconds: 5 }, device: (0, 0), xattrs: &[] };

fn archive(items: &[(Item<'_>, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (item, data) in items {
        bytes.extend_from_slice(&Item { size: data.len() as u64, ..*item }.header());
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend_from_slice(&END);
    bytes
}

fn sample() -> Vec<u8> {
    let xattrs = [(b"user.k".to_vec(), b"v".to_vec()), (b"trusted.overlay.opaque".to_vec(), b"y".to_vec())];
    let at = |path: &'static [u8]| Item { path, ..PLAIN };
    archive(&[
        (Item { kind: b'5', mode: 0o750, uid: 7, gid: 8, ..at(b"d/") }, b""),
        (Item { mode: 0o4755, uid: 1000, gid: 50, xattrs: &xattrs, ..at(b"d/f") }, b"contents"),
        (Item { kind: b'1', link: b"d/f", ..at(b"d/hard") }, b""),
        (Item { kind: b'2', link: b"f", ..at(b"d/soft") }, b""),
        (Item { kind: b'6', mode: 0o600, ..at(b"d/fifo") }, b""),
        (at(b"made/on/the/way"), b"w"),
    ])
}

#[test]
fn a_tree_is_written_and_read_back_as_it_was() {
    let scratch = Scratch::new("tree");
    assert_eq!(scratch.write("/at", (false, true), &sample()), "ok");
    let at = scratch.root().join("at");
    let file = fs::metadata(at.join("d/f")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid(), file.nlink(), file.mtime_nsec()), (0o4755, 1000, 50, 2, 5));
    let directory = fs::metadata(at.join("d")).unwrap();
    assert_eq!((directory.mode() & 0o7777, directory.uid(), directory.mtime()), (0o750, 7, 1_000_000_000));
    assert!(fs::metadata(at.join("d/fifo")).unwrap().file_type().is_fifo());
    let back = scratch.read("/at/d");
    let of = |name: &str| back.iter().find(|(entry, _)| entry.path == name.as_bytes()).unwrap();
    assert_eq!(scratch.names("/at/d"), ["d/", "d/f", "d/fifo", "d/hard", "d/soft"]);
    let pair = [of("d/f"), of("d/hard")];
    let whole = pair.iter().find(|(entry, _)| entry.kind == Kind::File).unwrap();
    assert!(pair.iter().any(|(entry, _)| entry.kind == Kind::HardLink));
    assert_eq!((whole.1.as_slice(), whole.0.mode, whole.0.mtime.nanoseconds), (&b"contents"[..], 0o4755, 5));
    assert_eq!((of("d/soft").0.link.as_slice(), &of("d/fifo").0.kind), (&b"f"[..], &Kind::Fifo));
    // A root file system may have no attributes of users; none of the store's own ever travels.
    assert!(whole.0.xattrs.iter().all(|(name, _)| name == b"user.k"));
}

#[test]
fn owners_are_root_s_where_they_are_not_kept() {
    let scratch = Scratch::new("owners");
    assert_eq!(scratch.write("/at", (false, false), &sample()), "ok");
    assert_eq!(fs::metadata(scratch.root().join("at/d/f")).unwrap().uid(), 0);
}

#[test]
fn paths_are_the_kernel_s() {
    let scratch = Scratch::new("paths");
    scratch.write("/at", (false, true), &sample());
    symlink("at/d", scratch.root().join("way")).unwrap();
    symlink("/at/d/f", scratch.root().join("absolute")).unwrap();
    assert_eq!(scratch.names("/way"), ["way"]);
    assert_eq!(scratch.names("/way/")[0], "way/");
    assert!(scratch.names("/way/.").contains(&"./f".to_string()));
    assert!(scratch.names("/").contains(&"/at/d/f".to_string()));
    assert_eq!(scratch.stat("/way/.")["ok"]["name"], "way");
    assert_eq!(scratch.stat("/")["ok"]["name"], "/");
    assert_eq!(scratch.stat("/absolute")["ok"]["linkTarget"], "/at/d/f");
    assert_eq!(scratch.stat("/at/d/f")["ok"]["modifiedAt"], "2001-09-09T01:46:40.000000005Z");
    for missing in ["/nothing", "/at/d/f/below", "/way/nothing"] {
        assert_eq!(scratch.stat(missing)["failure"]["code"], "NOT_FOUND", "{missing}");
    }
    assert_eq!(scratch.write("/nothing", (false, false), &sample()), "NOT_FOUND");
    assert_eq!(scratch.write("/at/d/f", (false, false), &sample()), "INVALID_SPEC");
    assert_eq!(scratch.stat("/a\0b")["failure"]["code"], "INVALID_SPEC");
}

#[test]
fn no_link_and_no_name_leads_out_of_the_root() {
    let scratch = Scratch::new("out");
    fs::create_dir(scratch.0.join("host")).unwrap();
    fs::write(scratch.0.join("host/canary"), "the host's").unwrap();
    let host = scratch.0.join("host");
    symlink(&host, scratch.root().join("absolute")).unwrap();
    symlink("../../../../../..".to_owned() + host.to_str().unwrap(), scratch.root().join("relative")).unwrap();
    symlink("/proc/self/cwd", scratch.root().join("magic")).unwrap();
    let changed = archive(&[(Item { path: b"canary", ..PLAIN }, b"changed")]);
    for way in ["/absolute", "/relative", "/magic", "/at/../../host"] {
        assert_eq!(scratch.write(way, (false, false), &changed), "NOT_FOUND", "{way}");
        assert_eq!(scratch.stat(&format!("{way}/canary"))["failure"]["code"], "NOT_FOUND", "{way}");
    }
    for name in [&b"../../host/canary"[..], b"/../host/canary", b"../absolute/canary"] {
        scratch.write("/at", (false, false), &archive(&[(Item { path: name, ..PLAIN }, b"changed")]));
    }
    scratch.write("/", (false, false), &archive(&[(Item { path: b"absolute/canary", ..PLAIN }, b"changed")]));
    let through = [(Item { path: b"l", link: host.to_str().unwrap().as_bytes(), kind: b'2', ..PLAIN }, &b""[..]), (Item { path: b"l/canary", ..PLAIN }, b"changed")];
    scratch.write("/at", (false, false), &archive(&through));
    let hard = [(Item { path: b"h", link: b"../../host/canary", kind: b'1', ..PLAIN }, &b""[..])];
    scratch.write("/at", (false, false), &archive(&hard));
    assert_eq!(fs::metadata(host.join("canary")).unwrap().nlink(), 1);
    assert_eq!(fs::read_to_string(host.join("canary")).unwrap(), "the host's");
}

#[test]
fn a_magic_link_of_proc_is_no_way() {
    let host = std::env::current_dir().unwrap();
    let root = File::open("/").unwrap().into();
    for path in ["/proc/self/cwd/Cargo.toml", "/proc/self/root/etc/passwd", "/proc/1/root/etc/passwd"] {
        let scratch = Scratch::new("magic");
        let mut out = scratch.file("out");
        let streams = Streams { input: scratch.file("in"), output: out.try_clone().unwrap(), error: scratch.file("err") };
        assert_eq!(carry_out(&FilesOrder::Stat { path: path.into() }, &root, streams), 1, "{path} from {}", host.display());
        out.rewind().unwrap();
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        assert!(text.contains("INVALID_SPEC"), "{text}");
    }
}

#[test]
fn what_stands_in_the_way_is_replaced_and_never_written_through() {
    let scratch = Scratch::new("replace");
    let at = scratch.root().join("at");
    fs::write(at.join("target"), "stays").unwrap();
    symlink("target", at.join("f")).unwrap();
    let running = File::open(at.join("target")).unwrap();
    let one = archive(&[(PLAIN, b"new")]);
    assert_eq!(scratch.write("/at", (true, false), &one), "ok");
    assert_eq!((fs::read_to_string(at.join("f")).unwrap().as_str(), fs::read_to_string(at.join("target")).unwrap().as_str()), ("new", "stays"));
    drop(running);
    fs::remove_file(at.join("f")).unwrap();
    fs::create_dir_all(at.join("f/full/of")).unwrap();
    assert_eq!(scratch.write("/at", (true, false), &one), "INVALID_SPEC");
    assert_eq!(scratch.write("/at", (false, false), &one), "ok");
    assert!(at.join("f").is_file());
    assert_eq!(scratch.write("/at", (true, false), &archive(&[(Item { kind: b'5', path: b"f/", ..PLAIN }, b"")])), "INVALID_SPEC");
}

#[test]
fn several_who_write_to_the_same_names_at_once_all_succeed() {
    let scratch = Scratch::new("at-once");
    let named = |kind: u8, path: &'static [u8]| (Item { kind, path, link: if kind == b'2' { b"f" } else { b"" }, ..PLAIN }, &b""[..]);
    let archive = archive(&[named(b'5', b"d/"), (PLAIN, b"contents"), named(b'2', b"soft"), named(b'6', b"fifo"), named(b'0', b"made/on/the/way")]);
    for _ in 0..20 {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..10).for_each(|_| assert_eq!(scratch.write("/at", (false, false), &archive), "ok")));
            }
        });
        assert_eq!(fs::read(scratch.root().join("at/f")).unwrap(), b"contents");
        fs::remove_dir_all(scratch.root().join("at/made")).unwrap();
        fs::remove_dir(scratch.root().join("at/d")).unwrap();
    }
}

#[test]
fn what_somebody_puts_in_the_place_of_a_node_does_not_get_its_permissions() {
    let scratch = Scratch::new("swap");
    let at = scratch.root().join("at");
    fs::write(at.join("secret"), "").unwrap();
    fs::set_permissions(at.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (place, link, ended) = (at.join("fifo"), at.join("link"), over.clone());
    let swapping = std::thread::spawn(move || {
        while !ended.load(Relaxed) {
            let _ = symlink("secret", &link);
            if fs::symlink_metadata(&place).is_ok_and(|there| there.file_type().is_fifo()) {
                let _ = fs::rename(&link, &place);
            }
        }
    });
    let fifos: [_; 200] = std::array::from_fn(|_| (Item { kind: b'6', path: b"fifo", mode: 0o666, uid: 7, ..PLAIN }, &b""[..]));
    let fifos = archive(&fifos);
    for _ in 0..50 {
        scratch.write("/at", (false, true), &fifos);
    }
    over.store(true, Relaxed);
    swapping.join().unwrap();
    assert_eq!(fs::metadata(at.join("secret")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_cut_archive_is_damaged_wherever_it_was_cut() {
    let scratch = Scratch::new("cut");
    let whole = sample();
    for length in (0..whole.len() - 512).step_by(97).chain([0, 512, whole.len() - 1024]) {
        assert_eq!(scratch.write("/at", (false, true), &whole[..length]), "CORRUPT_DATA", "{length}");
    }
    assert_eq!(scratch.write("/at", (false, true), &[whole, vec![0; 9000]].concat()), "ok");
}

#[test]
fn a_socket_is_left_out_and_a_deep_tree_is_read() {
    let scratch = Scratch::new("deep");
    let at = scratch.root().join("at");
    let _socket = std::os::unix::net::UnixListener::bind(at.join("socket")).unwrap();
    let deep: String = "d/".repeat(200);
    fs::create_dir_all(at.join(&deep)).unwrap();
    fs::write(at.join(&deep).join("leaf"), "x").unwrap();
    let names = scratch.names("/at");
    assert!(names.contains(&format!("at/{deep}leaf")) && !names.iter().any(|name| name.contains("socket")));
}

/// xorshift64*: the same rounds every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// BULKHEAD_FUZZ_ROUNDS sets how many; BULKHEAD_FUZZ_SEED begins elsewhere.
#[test]
fn damaged_archives_are_answered_and_stay_inside() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let scratch = Scratch::new("damaged");
    fs::write(scratch.0.join("canary"), "the host's").unwrap();
    symlink("../..", scratch.root().join("at/up")).unwrap();
    let mut random = Random(number("BULKHEAD_FUZZ_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15));
    let seed = sample();
    for _ in 0..number("BULKHEAD_FUZZ_ROUNDS").unwrap_or(300) {
        let mut bytes = seed.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.below(256) as u8,
                1 => bytes.truncate(at.max(512)),
                2 => bytes[at / 512 * 512..].iter_mut().take(100).zip(b"up/../../canary\0").for_each(|(to, from)| *to = *from),
                _ => bytes[at / 512 * 512..].iter_mut().skip([0, 100, 124, 136, 156, 157, 329][random.below(7)]).take(12).for_each(|byte| *byte = b'7'),
            }
        }
        if random.below(4) != 0 {
            bytes.as_chunks_mut::<512>().0.iter_mut().filter(|block| &block[257..262] == b"ustar").for_each(seal);
        }
        scratch.write("/at", (random.below(2) == 0, random.below(2) == 0), &bytes);
    }
    assert_eq!(fs::read_to_string(scratch.0.join("canary")).unwrap(), "the host's");
    assert!(Path::new(&scratch.0).read_dir().unwrap().count() <= 5);
}

fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
