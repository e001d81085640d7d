use super::*;
use serde_json::Value;

fn scratch(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("bulkhead-log-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

fn spec(path: &Path, max_bytes: Option<u64>, max_files: u32) -> LogSpec {
    LogSpec::JsonFile { path: path.to_str().unwrap().into(), max_bytes, max_files }
}

fn entries(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["time"].as_str().unwrap().len(), 30);
            (value["stream"].as_str().unwrap().to_string(), value["log"].as_str().unwrap().to_string())
        })
        .collect()
}

#[test]
fn lines_keep_their_order_and_stream_however_they_arrive() {
    let directory = scratch("lines");
    let path = directory.join("log");
    let mut log = Log::open(&spec(&path, None, 1)).unwrap();
    log.write(Stream::Stdout, b"one\ntw");
    log.write(Stream::Stderr, b"err\n");
    log.write(Stream::Stdout, b"o\n\nlast");
    log.end(Stream::Stdout);
    log.end(Stream::Stderr);
    let expected = [("stdout", "one\n"), ("stderr", "err\n"), ("stdout", "two\n"), ("stdout", "\n"), ("stdout", "last")];
    let got = entries(&path);
    assert_eq!(got.iter().map(|(stream, text)| (stream.as_str(), text.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn a_long_line_is_cut_at_sixteen_kibibytes_without_a_newline() {
    let directory = scratch("long");
    let path = directory.join("log");
    let mut log = Log::open(&spec(&path, None, 1)).unwrap();
    let mut line = vec![b'x'; 40_000];
    line.push(b'\n');
    for piece in line.chunks(1000) {
        log.write(Stream::Stdout, piece);
    }
    let lengths: Vec<usize> = entries(&path).iter().map(|(_, text)| text.len()).collect();
    assert_eq!(lengths, [16_384, 16_384, 7_233]);
}

#[test]
fn rotation_neither_loses_nor_doubles_a_line() {
    let directory = scratch("rotate");
    let path = directory.join("log");
    let mut log = Log::open(&spec(&path, Some(2_000), 50)).unwrap();
    for number in 0..500 {
        log.write(Stream::Stdout, format!("line {number}\n").as_bytes());
    }
    let mut all = Vec::new();
    for number in (1..50).rev() {
        all.extend(entries(&directory.join(format!("log.{number}"))));
    }
    all.extend(entries(&path));
    let expected: Vec<String> = (0..500).map(|number| format!("line {number}\n")).collect();
    assert_eq!(all.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), expected);
    assert!(std::fs::metadata(&path).unwrap().len() < 2_200);
}

#[test]
fn at_most_max_files_stay() {
    let directory = scratch("files");
    let path = directory.join("log");
    let mut log = Log::open(&spec(&path, Some(500), 3)).unwrap();
    for number in 0..200 {
        log.write(Stream::Stdout, format!("line {number}\n").as_bytes());
    }
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 3);
}

#[test]
fn a_full_disk_is_counted_and_said_once() {
    let directory = scratch("full");
    let path = directory.join("log");
    let mut log = Log::open(&spec(&path, None, 1)).unwrap();
    log.write(Stream::Stdout, b"before\n");
    let good = log.file.as_ref().unwrap().file.try_clone().unwrap();
    log.file.as_mut().unwrap().file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    log.write(Stream::Stdout, b"a\nb\n");
    log.write(Stream::Stdout, b"c\n");
    log.file.as_mut().unwrap().file = good;
    log.write(Stream::Stdout, b"after\n");
    let texts: Vec<String> = entries(&path).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["before\n", "[bulkhead: 3 log entries before this one could not be written]\n", "after\n"]);
}

#[test]
fn every_byte_is_escaped_into_valid_json() {
    let mut state = 7u64;
    for _ in 0..2000 {
        let text: Vec<u8> = (0..40)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                [0xe2, 0x80, 0xa8, 0xa9, b'"', b'\\', b'\n', 0, 0x1f, 0xff, b'<', b'a', 0xc3, 0xa4, 0x7f, (state >> 40) as u8][(state >> 60) as usize]
            })
            .collect();
        let mut out = vec![b'"'];
        append_escaped(&mut out, &text);
        out.push(b'"');
        let read: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(read, String::from_utf8_lossy(&text));
        assert!(!out.contains(&b'\n'));
    }
}

#[test]
fn a_log_of_one_file_begins_anew_without_cutting_the_old_one_under_its_reader() {
    let directory = scratch("one");
    let path = directory.join("log");
    let mut log = Log::open(&spec(&path, Some(1_000), 1)).unwrap();
    let mut reader = std::fs::File::open(&path).unwrap();
    for number in 0..30 {
        log.write(Stream::Stdout, format!("line {number}\n").as_bytes());
    }
    let mut old = String::new();
    std::io::Read::read_to_string(&mut reader, &mut old).unwrap();
    let kept = entries(&path);
    assert!(old.lines().count() >= 10 && old.contains("line 0\\n"), "what was open stays whole: {old}");
    assert!(!kept.is_empty() && kept.len() < 30 && kept.last().unwrap().1 == "line 29\n");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "one file");
}
