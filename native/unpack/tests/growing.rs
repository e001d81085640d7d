//! Archives that are unpacked while they are still being written.

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bulkhead_unpack::{UnpackJob, unpack};
use support::*;

const BIG: usize = 3 << 20;

fn archive() -> Vec<u8> {
    let data = "x".repeat(BIG);
    let mut bytes = Vec::new();
    for name in ["first", "second"] {
        append(&mut bytes, &file(name, &data));
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// Unpacks `blob`, which shall have so many bytes in the end; `true` after the answer where it asked what is below.
fn begin(scratch: &Scratch, blob: &Path, grows_to: usize) -> Result<String, String> {
    in_child(|| {
        let parent = File::open(scratch.path("layers")).unwrap().into();
        let job = UnpackJob { blob: File::open(blob).unwrap(), grows_to: Some(grows_to as u64), parent, name: "t".to_owned(), lowers: vec![], diff_id: None, limits: LIMITS };
        unpack(job, &mut |_| {}).map(|made| format!("{} {}", made.entries, made.asked_lowers))
    })
}

fn names(scratch: &Scratch) -> usize {
    fs::read_dir(scratch.path("layers")).unwrap().count()
}

#[test]
fn what_comes_in_pieces_is_waited_for() {
    let scratch = Scratch::new("growing");
    let (blob, bytes) = (scratch.path("blob"), archive());
    fs::write(&blob, &bytes[..700]).unwrap();
    let whole = bytes.len();
    let writer = thread::spawn({
        let blob = blob.clone();
        move || {
            let mut file = OpenOptions::new().append(true).open(blob).unwrap();
            for piece in bytes[700..].chunks(1 << 20) {
                thread::sleep(Duration::from_millis(20));
                file.write_all(piece).unwrap();
            }
        }
    });
    assert_eq!(begin(&scratch, &blob, whole).unwrap(), "2 false");
    writer.join().unwrap();
    assert_eq!(fs::metadata(scratch.path("layers/t/second")).unwrap().len(), BIG as u64);
}

#[test]
fn what_is_withdrawn_leaves_nothing() {
    let scratch = Scratch::new("withdrawn");
    let (blob, bytes) = (scratch.path("blob"), archive());
    fs::write(&blob, &bytes[..2 << 20]).unwrap();
    let remover = thread::spawn({
        let blob = blob.clone();
        move || {
            thread::sleep(Duration::from_millis(200));
            fs::remove_file(blob).unwrap();
        }
    });
    let said = begin(&scratch, &blob, bytes.len()).unwrap_err();
    remover.join().unwrap();
    assert!(said.contains("withdrawn"), "{said}");
    assert_eq!(names(&scratch), 0);
}

#[test]
fn an_archive_that_leaves_a_directory_out_says_that_it_asked() {
    let scratch = Scratch::new("asked");
    let mut bytes = Vec::new();
    append(&mut bytes, &file("etc/motd", "hello"));
    bytes.resize(bytes.len() + 1024, 0);
    let blob = scratch.path("blob");
    fs::write(&blob, &bytes).unwrap();
    assert_eq!(begin(&scratch, &blob, bytes.len()).unwrap(), "1 true");
}
