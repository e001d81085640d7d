//! Volumes filled from an image's layers.

mod support;

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use bulkhead_unpack::{FillJob, fill};
use support::*;

fn filled(scratch: &Scratch, layers: &[&str], path: &str) -> Result<String, String> {
    let open = |name: &str| -> OwnedFd { File::open(scratch.path(name)).unwrap().into() };
    in_child(|| {
        let layers = layers.iter().map(|layer| open(&format!("layers/{layer}"))).collect();
        fill(FillJob { parent: open("volumes"), name: "data".to_owned(), layers, path: path.to_owned() }).map(|filled| filled.to_string())
    })
}

fn bed(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    fs::create_dir_all(scratch.path("volumes/data")).unwrap();
    let lower = archive(&[directory("srv/"), file("srv/kept", "below"), file("srv/gone", "x"), file("srv/changed", "old"), directory("srv/in/"), file("srv/in/a", "1")]);
    unpack_bytes(&scratch, "lower", &lower).unwrap();
    let upper = archive(&[file("srv/changed", "new"), file("srv/.wh.gone", ""), link(b'1', "srv/twin", "srv/changed"), file("srv/in/.wh..wh..opq", ""), file("srv/in/b", "2"), link(b'2', "var", "/srv/in")]);
    unpack_with(&scratch, "upper", &upper, LIMITS, &["lower"]).unwrap();
    scratch
}

#[test]
fn a_volume_gets_what_the_layers_show_together() {
    let scratch = bed("fill-merged");
    let top = scratch.path("layers/upper/srv");
    chown(&top, Some(1000), Some(1001)).unwrap();
    fs::set_permissions(&top, fs::Permissions::from_mode(0o1770)).unwrap();
    chown(scratch.path("layers/lower/srv/kept"), Some(33), Some(34)).unwrap();
    fs::set_permissions(scratch.path("layers/lower/srv/kept"), fs::Permissions::from_mode(0o4711)).unwrap();
    assert_eq!(filled(&scratch, &["upper", "lower"], "/srv").unwrap(), "true");
    let at = |name: &str| scratch.path(&format!("volumes/data/{name}"));
    let mut names: Vec<_> = fs::read_dir(at("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["changed", "in", "kept", "twin"]);
    assert_eq!(fs::read_to_string(at("changed")).unwrap(), "new");
    assert_eq!(fs::metadata(at("changed")).unwrap().ino(), fs::metadata(at("twin")).unwrap().ino());
    assert!(!at("in/a").exists() && at("in/b").exists());
    let kept = fs::metadata(at("kept")).unwrap();
    assert_eq!((kept.uid(), kept.gid(), kept.mode() & 0o7777, kept.mtime()), (33, 34, 0o4711, 1_000_000_000));
    let root = fs::metadata(at("")).unwrap();
    assert_eq!((root.uid(), root.gid(), root.mode() & 0o7777), (1000, 1001, 0o1770));
    assert_eq!(fs::read_dir(scratch.path("volumes")).unwrap().count(), 1);
}

#[test]
fn a_volume_that_holds_something_stays_as_it_is_and_a_missing_place_fills_nothing() {
    let scratch = bed("fill-held");
    for nothing in ["/none", "/srv/kept", "/srv/gone"] {
        assert_eq!(filled(&scratch, &["upper", "lower"], nothing).unwrap(), "false", "{nothing}");
    }
    fs::write(scratch.path("volumes/data/mine"), "").unwrap();
    assert_eq!(filled(&scratch, &["upper", "lower"], "/srv").unwrap(), "false");
    assert_eq!(fs::read_dir(scratch.path("volumes/data")).unwrap().count(), 1);
}

#[test]
fn links_are_followed_inside_the_image_and_never_out_of_it() {
    let scratch = bed("fill-links");
    assert_eq!(filled(&scratch, &["upper", "lower"], "/../var/../in/.").unwrap(), "true");
    assert_eq!(fs::read_to_string(scratch.path("volumes/data/b")).unwrap(), "2");
    let scratch = bed("fill-out");
    fs::create_dir_all(scratch.path("secret")).unwrap();
    fs::write(scratch.path("secret/key"), "").unwrap();
    symlink(scratch.path("secret"), scratch.path("layers/upper/out")).unwrap();
    symlink("../../../secret", scratch.path("layers/upper/up")).unwrap();
    symlink("loop", scratch.path("layers/upper/loop")).unwrap();
    symlink(scratch.path("secret"), scratch.path("layers/upper/srv/inner")).unwrap();
    for way in ["/out", "/up"] {
        assert_eq!(filled(&scratch, &["upper", "lower"], way).unwrap(), "false", "{way}");
    }
    assert!(filled(&scratch, &["upper", "lower"], "/loop").is_err());
    assert_eq!(filled(&scratch, &["upper", "lower"], "/srv").unwrap(), "true");
    assert!(fs::symlink_metadata(scratch.path("volumes/data/inner")).unwrap().is_symlink());
}

#[test]
fn what_a_crash_cut_off_is_made_good() {
    let scratch = bed("fill-crash");
    fs::create_dir_all(scratch.path("volumes/.data.filling/half")).unwrap();
    assert_eq!(filled(&scratch, &["upper", "lower"], "/srv").unwrap(), "true");
    assert!(!scratch.path("volumes/data/half").exists());
    // Cut off between two entries.
    fs::create_dir_all(scratch.path("volumes/.data.filled")).unwrap();
    fs::rename(scratch.path("volumes/data/changed"), scratch.path("volumes/.data.filled/changed")).unwrap();
    assert_eq!(filled(&scratch, &["upper", "lower"], "/srv").unwrap(), "true");
    assert_eq!(fs::read_to_string(scratch.path("volumes/data/changed")).unwrap(), "new");
    assert_eq!(fs::read_dir(scratch.path("volumes")).unwrap().count(), 1);
}

#[test]
fn what_a_tree_takes_is_counted_without_holes_links_or_what_they_point_at() {
    let scratch = Scratch::new("usage");
    let at = |name: &str| scratch.path(&format!("layers/{name}"));
    fs::create_dir_all(at("a/b")).unwrap();
    let empty = bulkhead_unpack::disk_use(File::open(at("a")).unwrap().into());
    fs::write(at("a/b/file"), vec![1; 1 << 20]).unwrap();
    fs::hard_link(at("a/b/file"), at("a/twin")).unwrap();
    File::create(at("a/hole")).unwrap().set_len(1 << 30).unwrap();
    symlink("/usr", at("a/link")).unwrap();
    // Blocks are known once they are written.
    File::open(at("a/b/file")).unwrap().sync_all().unwrap();
    let bytes = bulkhead_unpack::disk_use(File::open(at("a")).unwrap().into()) - empty;
    assert!((1 << 20..(1 << 20) + 65536).contains(&bytes), "{bytes}");
}
