//! What archives hold, and what becomes of it in the tree.

mod support;

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use support::*;

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let (path, name) = (CString::new(path.to_str().unwrap()).unwrap(), CString::new(name).unwrap());
    let mut value = [0u8; 256];
    let length = unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    (length >= 0).then(|| value[..length as usize].to_vec())
}

/// An archive with one PAX header before its only file.
fn with_pax(records: &[u8], item: &Item<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(&mut bytes, &Item { name: b"pax", kind: b'x', data: records, ..FILE });
    append(&mut bytes, item);
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

#[test]
fn a_tree_made_by_gnu_tar_comes_back_the_same() {
    let scratch = Scratch::new("same");
    let script = r"set -e; mkdir -p src/usr/bin src/tmp src/run; cd src; ln -s usr/bin bin; echo hi >usr/bin/x; chmod 4755 usr/bin/x
        ln usr/bin/x usr/bin/y; mkfifo run/pipe; mknod run/null c 1 3; mknod run/disk b 7 0; chmod 1777 tmp; chown 5:6 run; chmod 2750 run
        truncate -s 3M sparse; printf end >>sparse; printf mid | dd of=sparse bs=1 seek=1000000 conv=notrunc 2>/dev/null
        mkdir long; cd long; d=$(printf 'n%.0s' $(seq 200)); mkdir $d; echo deep >$d/$d; ln -s $d/$d far; cd ..
        setfattr -n user.note -v there usr/bin/x 2>/dev/null || true; touch -d @123456789.5 usr/bin/x; touch -h -d @123456789 bin; touch -d @1000000 run usr tmp";
    assert!(Command::new("sh").arg("-c").arg(script).current_dir(&scratch.0).status().unwrap().success());
    let list = |root: &Path| {
        let format = "%P %y %m %U %G %s %T@ %l %n\n";
        let out = Command::new("find").arg(root).args(["-mindepth", "1", "-type", "d", "-printf", "%P %y %m %U %G %T@\n", "-o", "-mindepth", "1", "-printf", format]).output().unwrap();
        let mut lines: Vec<_> = String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for (number, options) in [&["--format=gnu"][..], &["--format=posix", "--xattrs"], &["--format=gnu", "-S"], &["--format=posix", "-S"], &["--format=posix", "-S", "--sparse-version=0.1"], &["--format=posix", "-S", "--sparse-version=0.0"]].iter().enumerate() {
        for compress in ["", "-z"] {
            let tar = scratch.path("a.tar");
            assert!(Command::new("tar").args(*options).args(["-C", "src"]).args(Some(compress).filter(|c| !c.is_empty())).arg("-cf").arg(&tar).arg(".").current_dir(&scratch.0).status().unwrap().success());
            let name = format!("t{number}{compress}");
            unpack_bytes(&scratch, &name, &fs::read(&tar).unwrap()).unwrap();
            let tree = scratch.path(&format!("layers/{name}"));
            let mut wanted = list(&scratch.path("src"));
            if !options.contains(&"--format=posix") {
                // Whole seconds are all that this format has.
                wanted = wanted.iter().map(|line| line.replace("123456789.5000000000", "123456789.0000000000")).collect();
            }
            let cut = |lines: Vec<String>| -> Vec<String> {
                // Directories' and other files' fractions of a second are lost in the GNU format.
                lines.iter().map(|line| line.split(' ').map(|word| word.split_once('.').filter(|(whole, rest)| rest.len() == 10 && whole.parse::<i64>().is_ok()).map_or(word, |(whole, _)| whole)).collect::<Vec<_>>().join(" ")).collect()
            };
            assert_eq!(cut(list(&tree)), cut(wanted), "{options:?}");
            assert!(Command::new("cmp").arg(scratch.path("src/sparse")).arg(tree.join("sparse")).status().unwrap().success());
            if options.contains(&"-S") {
                assert!(fs::metadata(tree.join("sparse")).unwrap().blocks() < 200, "{options:?}: the holes were filled");
            }
            if options.contains(&"--xattrs") && xattr(&scratch.path("src/usr/bin/x"), "user.note").is_some() {
                assert_eq!(xattr(&tree.join("usr/bin/x"), "user.note").as_deref(), Some(&b"there"[..]));
            }
        }
    }
}

#[test]
fn paths_go_through_links_to_directories_of_the_same_layer() {
    let scratch = Scratch::new("links");
    let items = [link(b'2', "bin", "usr/bin"), file("bin/x", "x"), directory("lib64/"), link(b'2', "lib", "/lib64"), file("lib/so", "so"), link(b'1', "hard", "bin/x")];
    unpack_bytes(&scratch, "t", &archive(&items)).unwrap();
    let tree = scratch.path("layers/t");
    assert_eq!(fs::read_to_string(tree.join("usr/bin/x")).unwrap(), "x");
    assert_eq!(fs::read_to_string(tree.join("lib64/so")).unwrap(), "so");
    assert!(fs::symlink_metadata(tree.join("bin")).unwrap().is_symlink());
    assert_eq!(fs::metadata(tree.join("hard")).unwrap().nlink(), 2);
    for endless in [[link(b'2', "a", "b"), link(b'2', "b", "a"), file("a/x", "")], [link(b'2', "a", "a/a"), link(b'2', "c", "a"), file("c/x", "")]] {
        let said = unpack_bytes(&scratch, "endless", &archive(&endless)).unwrap_err();
        assert!(said.starts_with("CORRUPT_DATA"), "{said}");
    }
}

#[test]
fn whiteouts_become_those_of_overlayfs() {
    let scratch = Scratch::new("whiteouts");
    let items = [
        file("a/.wh.gone", ""),
        file("b/.wh..wh..opq", ""),
        file("b/new", "n"),
        file(".wh.again", ""),
        directory("again/"),
        directory("after/"),
        file(".wh.after", ""),
        file(".wh..wh.plnk", ""),
        file("kept", "k"),
        file(".wh.kept", ""),
    ];
    unpack_bytes(&scratch, "t", &archive(&items)).unwrap();
    let tree = scratch.path("layers/t");
    let gone = fs::symlink_metadata(tree.join("a/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0 && gone.mtime() == 0);
    for opaque in ["b", "again", "after"] {
        assert_eq!(xattr(&tree.join(opaque), "trusted.overlay.opaque").as_deref(), Some(&b"y"[..]), "{opaque}");
    }
    assert_eq!(xattr(&tree.join("a"), "trusted.overlay.opaque"), None);
    assert_eq!(fs::read_to_string(tree.join("kept")).unwrap(), "k");
    assert!(!tree.join(".wh..wh.plnk").exists());
    for lie in [".wh.", ".wh..", ".wh..."] {
        assert!(unpack_bytes(&scratch, "lie", &archive(&[file(lie, "")])).is_err());
    }
}

#[test]
fn later_entries_replace_earlier_ones_of_another_kind() {
    let scratch = Scratch::new("replace");
    let items = [directory("x/"), file("x/inner", "1"), file("x", "now a file"), file("y", "1"), link(b'2', "y", "x"), link(b'2', "z", "x"), directory("z/"), file("z/f", "f"), file("w", "old"), link(b'1', "v", "w"), file("w", "new")];
    unpack_bytes(&scratch, "t", &archive(&items)).unwrap();
    let tree = scratch.path("layers/t");
    assert_eq!(fs::read_to_string(tree.join("x")).unwrap(), "now a file");
    assert!(fs::symlink_metadata(tree.join("y")).unwrap().is_symlink());
    assert!(fs::symlink_metadata(tree.join("z")).unwrap().is_dir());
    assert_eq!(fs::read_to_string(tree.join("v")).unwrap(), "old");
    assert_eq!(fs::read_to_string(tree.join("w")).unwrap(), "new");
}

#[test]
fn capabilities_survive_and_attributes_of_overlayfs_are_refused() {
    let scratch = Scratch::new("xattrs");
    // cap_net_raw+ep, revision 2.
    let capability = [1u8, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let records = [record("SCHILY.xattr.security.capability", &capability), record("SCHILY.xattr.user.k", b"v"), record("SCHILY.xattr.security.selinux", b"x")].concat();
    unpack_bytes(&scratch, "t", &with_pax(&records, &Item { mode: 0o4755, ..file("ping", "p") })).unwrap();
    let ping = scratch.path("layers/t/ping");
    assert_eq!(xattr(&ping, "security.capability").as_deref(), Some(&capability[..]));
    assert_eq!(xattr(&ping, "user.k").as_deref(), Some(&b"v"[..]));
    assert_eq!(fs::metadata(&ping).unwrap().permissions().mode() & 0o7777, 0o4755);
    for name in ["trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque"] {
        let said = unpack_bytes(&scratch, "bad", &with_pax(&record(&format!("SCHILY.xattr.{name}"), b"y"), &directory("d/"))).unwrap_err();
        assert!(said.starts_with("CORRUPT_DATA") && said.contains(name), "{said}");
    }
}

#[test]
fn what_the_archive_leaves_out_is_lent_by_the_layers_below() {
    let scratch = Scratch::new("lend");
    unpack_bytes(&scratch, "low", &archive(&[Item { mode: 0o1777, ..directory("tmp/") }, file("etc/hosts", "h"), directory("gone/")])).unwrap();
    unpack_bytes(&scratch, "mid", &archive(&[file(".wh.gone", "")])).unwrap();
    let said = unpack_with(&scratch, "top", &archive(&[file("tmp/x", "x"), link(b'1', "etc/linked", "etc/hosts")]), LIMITS, &["mid", "low"]).unwrap();
    assert!(said.ends_with("true"), "{said}");
    let tree = scratch.path("layers/top");
    assert_eq!(fs::metadata(tree.join("tmp")).unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(fs::metadata(tree.join("tmp")).unwrap().mtime(), 1_000_000_000);
    assert_eq!((fs::read_to_string(tree.join("etc/linked")).unwrap(), fs::metadata(tree.join("etc/hosts")).unwrap().nlink()), ("h".to_owned(), 2));
    let alone = unpack_with(&scratch, "alone", &archive(&[directory("tmp/"), file("tmp/x", "x"), file("gone/y", "y")]), LIMITS, &["mid", "low"]).unwrap();
    assert!(alone.ends_with("false"), "{alone}");
    let missing = unpack_with(&scratch, "missing", &archive(&[link(b'1', "l", "gone/z")]), LIMITS, &["mid", "low"]).unwrap_err();
    assert!(missing.starts_with("CORRUPT_DATA") && missing.contains("gone/z"), "{missing}");
}

#[test]
fn limits_hold() {
    let scratch = Scratch::new("limits");
    let many: Vec<_> = (0..50).map(|_| file("f", "")).collect();
    let small = bulkhead_unpack::Limits { max_entries: 49, ..LIMITS };
    assert!(unpack_with(&scratch, "many", &archive(&many), small, &[]).unwrap_err().starts_with("EXHAUSTED"));
    let large = bulkhead_unpack::Limits { max_bytes: 1 << 20, ..LIMITS };
    let zeros = scratch.path("zeros.tar.gz");
    let script = format!("head -c 300M /dev/zero >z; tar -czf {} z; rm z", zeros.display());
    assert!(Command::new("sh").arg("-c").arg(script).current_dir(&scratch.0).status().unwrap().success());
    assert!(unpack_with(&scratch, "bomb", &fs::read(&zeros).unwrap(), large, &[]).unwrap_err().starts_with("EXHAUSTED"));
    // Nothing of what is free may be taken.
    let full = bulkhead_unpack::Limits { max_bytes: 1 << 30, reserve_bytes: u64::MAX, ..LIMITS };
    let refused = unpack_with(&scratch, "full", &fs::read(&zeros).unwrap(), full, &[]).unwrap_err();
    assert!(refused.starts_with("EXHAUSTED") && refused.contains("kept in reserve"), "{refused}");
    assert_eq!(fs::read_dir(scratch.path("layers")).unwrap().count(), 0);
    // A sparse file costs no disk here, but does wherever it is copied.
    let sparse = [record("GNU.sparse.major", b"1"), record("GNU.sparse.minor", b"0"), record("GNU.sparse.name", b"s"), record("GNU.sparse.realsize", b"9000000000")].concat();
    let map = "0\n".to_owned() + &"\0".repeat(510);
    assert!(unpack_bytes(&scratch, "sparse", &with_pax(&sparse, &file("s", &map))).unwrap_err().starts_with("EXHAUSTED"));
    let deep = "d/".repeat(300);
    assert!(unpack_bytes(&scratch, "deep", &with_pax(&record("path", deep.as_bytes()), &file("x", ""))).unwrap_err().starts_with("CORRUPT_DATA"));
    let long = "n".repeat(256);
    assert!(unpack_bytes(&scratch, "long", &with_pax(&record("path", long.as_bytes()), &file("x", ""))).unwrap_err().starts_with("CORRUPT_DATA"));
    // Links that make the real path far longer than any name in the archive.
    let mut growing = Vec::new();
    let part = "p".repeat(250);
    for step in 0..20 {
        let name = if step == 0 { format!("{part}/") } else { format!("l{}/{part}/", step - 1) };
        let target = name.trim_end_matches('/').to_owned();
        append(&mut growing, &Item { name: b"pax", kind: b'x', data: &record("path", name.as_bytes()), ..FILE });
        append(&mut growing, &directory("x/"));
        append(&mut growing, &Item { name: b"pax", kind: b'x', data: &record("linkpath", target.as_bytes()), ..FILE });
        append(&mut growing, &link(b'2', &format!("l{step}"), "x"));
    }
    growing.resize(growing.len() + 1024, 0);
    let said = unpack_bytes(&scratch, "growing", &growing).unwrap_err();
    assert!(said.contains("leads too deep"), "{said}");
    assert_eq!(fs::read_dir(scratch.path("layers")).unwrap().count(), 0);
}

#[test]
fn streams_that_end_early_are_refused_wherever_they_are_cut() {
    let scratch = Scratch::new("cut");
    let whole = archive(&[file("a", &"x".repeat(3000)), directory("d/"), file("d/b", "y")]);
    for cut in (0..whole.len() - 512).step_by(256) {
        assert!(unpack_bytes(&scratch, "cut", &whole[..cut]).unwrap_err().starts_with("CORRUPT_DATA"), "cut at {cut}");
    }
    fs::write(scratch.path("whole.tar"), &whole).unwrap();
    for tool in ["gzip", "zstd"] {
        let output = Command::new(tool).arg("-c").arg(scratch.path("whole.tar")).output().unwrap();
        let packed = output.stdout;
        for cut in [10, packed.len() / 2, packed.len() - 1] {
            assert!(unpack_bytes(&scratch, "cut", &packed[..cut]).unwrap_err().starts_with("CORRUPT_DATA"), "{tool} cut at {cut}");
        }
        // Two members, cut in the middle of the archive, are one stream.
        if tool == "gzip" {
            let half = |range: &[u8], name: &str| {
                fs::write(scratch.path(name), range).unwrap();
                Command::new("gzip").arg("-c").arg(scratch.path(name)).output().unwrap().stdout
            };
            unpack_bytes(&scratch, "members", &[half(&whole[..700], "1"), half(&whole[700..], "2")].concat()).unwrap();
        }
    }
}

#[test]
fn the_same_layer_gives_the_same_erofs_image() {
    let scratch = Scratch::new("erofs");
    let items = [directory("a/"), file("a/x", "contents"), file("a/.wh.gone", ""), file("a/.wh..wh..opq", ""), link(b'2', "l", "a/x"), Item { mode: 0o4711, ..file("suid", "s") }];
    for name in ["one", "two"] {
        unpack_bytes(&scratch, name, &archive(&items)).unwrap();
        let bytes: u64 = make_image(&scratch, name, &format!("{name}.erofs")).unwrap().parse().unwrap();
        assert!(bytes > 0 && bytes.is_multiple_of(4096));
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    assert_eq!(fs::read(scratch.path("one.erofs")).unwrap(), fs::read(scratch.path("two.erofs")).unwrap());
    assert!(make_image(&scratch, "one", "one.erofs").unwrap_err().starts_with("ALREADY_EXISTS"));
    let mount = scratch.path("mnt");
    fs::create_dir(&mount).unwrap();
    in_child(|| {
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
        let script = "mount --make-rprivate / && mount -t erofs -o ro,loop one.erofs mnt";
        assert!(Command::new("sh").args(["-c", script]).current_dir(&scratch.0).status().unwrap().success());
        let gone = fs::symlink_metadata(mount.join("a/gone")).unwrap();
        assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
        assert_eq!(xattr(&mount.join("a"), "trusted.overlay.opaque").as_deref(), Some(&b"y"[..]));
        assert_eq!(fs::metadata(mount.join("suid")).unwrap().mode() & 0o7777, 0o4711);
        assert_eq!(fs::metadata(mount.join("l")).unwrap().mtime(), 1_000_000_000);
        assert_eq!(fs::read_to_string(mount.join("a/x")).unwrap(), "contents");
        Ok(String::new())
    })
    .unwrap();
}

#[test]
fn a_full_disk_is_said_and_nothing_is_left() {
    let scratch = Scratch::new("full");
    in_child(|| {
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
        let script = "mount --make-rprivate / && mount -t tmpfs -o size=1m tmpfs layers";
        assert!(Command::new("sh").args(["-c", script]).current_dir(&scratch.0).status().unwrap().success());
        let said = unpack_bytes(&scratch, "t", &archive(&[file("f", &"x".repeat(3_000_000))])).unwrap_err();
        assert!(said.starts_with("EXHAUSTED: the disk is full"), "{said}");
        assert_eq!(fs::read_dir(scratch.path("layers")).unwrap().count(), 0);
        Ok(String::new())
    })
    .unwrap();
}
