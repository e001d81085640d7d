//! Workloads behind a real launcher, from launch to removal, and what is left when somebody is killed.

mod harness;

use bulkhead_wire::frame::Kind;
use harness::{Bed, Client, EVERYTHING, guest, log_of, record_of, runs};
use serde_json::json;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

#[test]
fn output_log_record_and_status_agree() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["sh", "-c", "echo out; echo err >&2; exit 7"], |_, _| {});
    assert_eq!(workload.client.output(0).len(), 8);
    let exited = workload.client.event("exited");
    assert_eq!(exited["status"]["code"], 7);
    let ended = workload.client.event("ended");
    assert_eq!(ended["reason"], record_of(&workload.plan));
    assert_eq!(ended["reason"]["kind"], "exited");
    let mut log = log_of(&workload.plan);
    log.sort();
    assert_eq!(log, ["err\n", "out\n"]);
    bed.remove(&workload.plan);
    bed.remove(&workload.plan.clone());
}

#[test]
fn nothing_runs_before_start() {
    let mut bed = Bed::new();
    let plan = bed.plan(&["echo", "too early"], |_, _| {});
    let mut workload = bed.launch(&plan);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(log_of(&plan).is_empty());
    workload.client.call("end", json!({})).unwrap();
    let record = record_of(&plan);
    assert_eq!((&record["kind"], &record["started"]), (&json!("ended"), &json!(false)));
    assert!(log_of(&plan).is_empty());
}

#[test]
fn commands_that_cannot_run_are_told_apart() {
    let mut bed = Bed::new();
    let plan = bed.plan(&["missing"], |_, _| {});
    assert_eq!(bed.launcher.call("launch", json!({"plan": plan})).unwrap_err()["code"], "COMMAND_NOT_FOUND");
    let plan = bed.plan(&["/bin/not-a-program"], |_, _| {});
    let mut workload = bed.launch(&plan);
    assert_eq!(workload.client.call("start", json!({})).unwrap_err()["code"], "COMMAND_NOT_EXECUTABLE");
    assert_eq!(record_of(&plan)["code"], 126);
    let mut workload = bed.run(&["sleep", "100"], |_, _| {});
    for (command, code) in [("missing", "COMMAND_NOT_FOUND"), ("/bin/not-a-program", "COMMAND_NOT_EXECUTABLE")] {
        let failure = workload.client.call("exec", json!({"spec": guest(&[command]), "attach": EVERYTHING()})).unwrap_err();
        assert_eq!(failure["code"], code);
    }
}

#[test]
fn input_passes_whole_and_its_end_is_felt() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["wc", "-c"], |plan, _| plan["main"] = json!({"terminal": false, "stdin": true, "stdinOnce": true}));
    for _ in 0..20 {
        workload.client.send(Kind::Stdin, 0, &[b'x'; 500_000]);
    }
    workload.client.send(Kind::End, 0, &[Kind::Stdin as u8]);
    assert_eq!(workload.client.output(0), "10000000\n");
}

#[test]
fn a_reader_that_rests_stops_the_writer_and_loses_nothing() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["sh", "-c", "seq 1 600000"], |_, _| {});
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(runs(workload.main), "the writer waits for its reader");
    let text = workload.client.output(0);
    assert_eq!(text.lines().count(), 600_000);
    assert_eq!(text.lines().last(), Some("600000"));
    assert_eq!(log_of(&workload.plan).len(), 600_000);
}

#[test]
fn input_that_comes_after_the_end_costs_no_output() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["echo", "said"], |plan, _| plan["main"]["stdin"] = json!(true));
    record_of(&workload.plan);
    std::thread::sleep(std::time::Duration::from_millis(200));
    // Whoever reads slowly has not seen the end yet, and writes: to a connection that is closed, that would fail and take with it what is unread.
    workload.client.send(Kind::Stdin, 0, b"too late");
    assert_eq!(workload.client.output(0), "said\n");
    assert!(runs(workload.supervisor), "it waits for the client to close first");
    drop(workload.client);
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(4);
    while runs(workload.supervisor) && std::time::Instant::now() < patience {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(!runs(workload.supervisor), "and no longer");
    bed.remove(&workload.plan);
}

#[test]
fn the_end_waits_for_nobody_who_does_not_read() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["sleep", "1000"], |_, _| {});
    let mut resting = Client::connect(workload.plan["socket"].as_str().unwrap());
    resting.call("hello", json!({"version": 1})).unwrap();
    let begun = resting.call("exec", json!({"spec": guest(&["yes"]), "attach": EVERYTHING()})).unwrap();
    let reads = || std::fs::read_to_string(format!("/proc/{}/io", begun["hostPid"])).unwrap();
    // Until everything between the two is full.
    let mut before = String::new();
    while std::mem::replace(&mut before, reads()) != before {
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    let began = std::time::Instant::now();
    workload.client.call("end", json!({})).unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(resting.output(begun["process"].as_u64().unwrap() as u32).ends_with("y\n"), "and what was said is there for him, whole");
    drop((resting, workload.client));
    bed.remove(&workload.plan);
}

/// Files of this bed that are block devices now.
fn disks_in_use(bed: &Bed) -> usize {
    let devices = std::fs::read_dir("/sys/block").unwrap().flatten();
    let files = devices.filter_map(|device| std::fs::read_to_string(device.path().join("loop/backing_file")).ok());
    files.filter(|file| file.starts_with(&bed.path(""))).count()
}

#[test]
fn a_disk_is_never_mounted_twice_however_long_the_supervisor_before_has_readers() {
    if !std::path::Path::new("/dev/loop-control").exists() {
        return eprintln!("left out: this host has no loop devices");
    }
    let mut bed = Bed::new();
    let first = bed.run(&["sh", "-c", "echo kept >/tmp/kept"], |plan, _| {
        let disk = format!("{}/disk", plan["directory"].as_str().unwrap());
        plan["version"] = json!(3);
        plan["main"]["stdin"] = json!(true);
        plan["engine"]["disk"] = json!({ "path": disk, "bytes": 24 << 20 });
    });
    record_of(&first.plan);
    let note = bed.path(&format!("run/supervisors/{}.json", first.plan["workload"].as_str().unwrap()));
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while std::path::Path::new(&note).exists() && std::time::Instant::now() < patience {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // It waits for this client to close first; the next start does not wait for that.
    std::fs::remove_file(first.plan["exitRecord"].as_str().unwrap()).unwrap();
    let mut second = bed.launch(&first.plan);
    assert_eq!(disks_in_use(&bed), 1);
    second.client.call("start", json!({})).unwrap();
    assert_eq!(record_of(&second.plan)["code"], 0);
    drop((first.client, second.client));
    bed.remove(&second.plan);
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while disks_in_use(&bed) > 0 && std::time::Instant::now() < patience {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(disks_in_use(&bed), 0);
}

#[test]
fn a_terminal_has_its_size_and_takes_another() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["sh", "-c", "stty size; read x; stty size"], |plan, config| {
        plan["main"] = json!({"terminal": true, "terminalSize": {"rows": 11, "columns": 22}, "stdin": true, "stdinOnce": false});
        config["process"]["terminal"] = json!(true);
    });
    workload.client.call("resize", json!({"process": 0, "rows": 33, "columns": 44})).unwrap();
    workload.client.send(Kind::Stdin, 0, b"\n");
    let text = workload.client.output(0);
    assert!(text.ends_with("33 44\r\n"), "{text:?}");
}

#[test]
fn execs_have_their_own_output_status_and_signals() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["sleep", "100"], |_, _| {});
    let client = &mut workload.client;
    let begun = client.call("exec", json!({"spec": guest(&["sh", "-c", "echo inside; exit 3"]), "attach": EVERYTHING()})).unwrap();
    assert_eq!(client.output(1), "inside\n");
    assert_eq!(client.event("exited")["status"]["code"], 3);
    assert_eq!(begun["process"], 1);
    client.call("exec", json!({"spec": guest(&["sleep", "50"]), "attach": EVERYTHING()})).unwrap();
    assert_eq!(client.call("signal", json!({"process": 2, "signal": "TERM"})).unwrap()["delivered"], true);
    assert_eq!(client.event("exited")["status"]["signal"], "SIGTERM");
    assert_eq!(client.call("signal", json!({"process": 2, "signal": "TERM"})).unwrap()["delivered"], false);
    assert!(log_of(&workload.plan).is_empty());
}

#[test]
fn limits_are_felt_inside_and_told_outside() {
    let mut bed = Bed::new();
    let limits = json!({"memoryBytes": 20 << 20, "memorySwapBytes": 20 << 20, "pids": 3});
    let mut greedy = bed.run(&["sh", "-c", "x=a; while true; do x=$x$x; done"], |plan, _| plan["limits"] = limits.clone());
    greedy.client.event("out-of-memory");
    let record = greedy.client.event("ended");
    assert_eq!((&record["reason"]["code"], &record["reason"]["outOfMemory"]), (&json!(137), &json!(true)));
    let mut forker = bed.run(&["sh", "-c", "sleep 1 & sleep 1 & sleep 1 & wait"], |plan, _| plan["limits"] = limits);
    assert!(forker.client.output(0).contains("can't fork"));
}

#[test]
fn a_paused_workload_rests_and_a_limit_can_change() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["sleep", "100"], |_, _| {});
    let client = &mut workload.client;
    client.call("pause", json!({})).unwrap();
    assert_eq!(client.call("pause", json!({})).unwrap_err()["code"], "UNCHANGED");
    assert_eq!(client.call("exec", json!({"spec": guest(&["ls"]), "attach": EVERYTHING()})).unwrap_err()["code"], "WRONG_STATE");
    client.call("resume", json!({})).unwrap();
    client.call("update", json!({"limits": {"memoryBytes": 40 << 20, "pids": 33}})).unwrap();
    let used = client.call("stats", json!({})).unwrap();
    assert_eq!((&used["memoryLimitBytes"], &used["pidsLimit"]), (&json!(40 << 20), &json!(33)));
    assert_eq!(client.call("top", json!({})).unwrap()["rows"][0][7], "sleep 100");
}

#[test]
fn a_killed_supervisor_takes_its_workload_along_and_the_loss_is_recorded() {
    let mut bed = Bed::new();
    let workload = bed.run(&["sleep", "100"], |_, _| {});
    unsafe { libc::kill(workload.supervisor, libc::SIGKILL) };
    assert_eq!(record_of(&workload.plan)["kind"], "boundary-lost");
    assert!(!runs(workload.main));
    bed.remove(&workload.plan);
}

#[test]
fn a_killed_launcher_leaves_workloads_alone_and_its_successor_takes_them_up() {
    let mut bed = Bed::new();
    let mut finishing = bed.run(&["sh", "-c", "sleep 1; echo late; exit 4"], |_, _| {});
    let orphaned = bed.run(&["sleep", "100"], |_, _| {});
    let fostered = bed.run(&["sleep", "100"], |_, _| {});
    bed.kill_launcher();
    unsafe { libc::kill(orphaned.supervisor, libc::SIGKILL) };
    assert_eq!(finishing.client.output(0), "late\n");
    assert_eq!(record_of(&finishing.plan)["code"], 4);
    bed.restart_launcher();
    assert_eq!(record_of(&orphaned.plan)["kind"], "boundary-lost");
    assert!(!runs(orphaned.main));
    unsafe { libc::kill(fostered.supervisor, libc::SIGKILL) };
    assert_eq!(record_of(&fostered.plan)["kind"], "boundary-lost");
}

#[test]
fn sweep_ends_all_but_those_named() {
    let mut bed = Bed::new();
    let kept = bed.run(&["sleep", "100"], |_, _| {});
    let swept = bed.run(&["sleep", "100"], |_, _| {});
    let removed = bed.launcher.call("sweep", json!({"keep": [kept.plan["workload"]]})).unwrap();
    assert_eq!(removed["removed"], json!([swept.plan["workload"]]));
    assert!(runs(kept.main) && !runs(swept.main));
}

#[test]
fn nonsense_ends_a_connection_and_nothing_else() {
    let mut bed = Bed::new();
    let mut state = 99u64;
    for _ in 0..200 {
        let mut stream = UnixStream::connect(bed.path("run/l")).unwrap();
        let bytes: Vec<u8> = (0..64)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if state >> 63 == 0 { 0 } else { (state >> 40) as u8 }
            })
            .collect();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(bed.launcher.call("nothing", json!({})).unwrap_err()["code"], "UNSUPPORTED");
    assert_eq!(bed.launcher.call("launch", json!({"plan": {"version": 9}})).unwrap_err()["code"], "INVALID_SPEC");
    assert_eq!(bed.launcher.call("volumeCreate", json!({"directory": "/etc/x"})).unwrap_err()["code"], "INVALID_SPEC");
    let outside = json!({"workload": "w", "directory": "/etc", "keepDirectory": false});
    assert_eq!(bed.launcher.call("remove", outside).unwrap_err()["code"], "INVALID_SPEC");
}

/// What a dead daemon wanted kept is not what its successor wants kept.
#[test]
fn a_sweep_ends_with_the_daemon_that_asked_for_it() {
    let mut bed = Bed::new();
    let workload = bed.run(&["sleep", "100"], |_, _| {});
    // Leftovers that the sweep comes to first, and is long at.
    for number in 0..30 {
        let state = bed.path(&format!("run/oci/-{number}"));
        std::fs::create_dir_all(&state).unwrap();
        (0..20).for_each(|file| std::fs::write(format!("{state}/{file}"), "x").unwrap());
    }
    let left = || std::fs::read_dir(bed.base.join("run/oci")).unwrap().count();
    let mut daemon = Client::connect(&bed.path("run/l"));
    daemon.send(Kind::Message, 0, json!({"id": 1, "verb": "sweep", "keep": []}).to_string().as_bytes());
    while left() > 28 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    drop(daemon);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let then = left();
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(left() == then && then > 1 && runs(workload.main), "{then} were left, and then {}", left());
    bed.launcher.call("sweep", json!({"keep": []})).unwrap();
    assert!(left() == 0 && !runs(workload.main), "one that is not given up sweeps everything");
}

#[test]
fn a_second_launcher_on_the_same_root_is_refused() {
    let bed = Bed::new();
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_bulkhead-launcher"))
        .args(["--root", &bed.path("root"), "--run", &bed.path("run2"), "--socket", &bed.path("l2")])
        .output()
        .unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another launcher"));
}

/// Pid of the process that supervisors are forked from.
fn zygote_of(launcher: &str) -> Option<i32> {
    let own = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.starts_with("Name:\tbulkhead-zygote\n") && status.contains(&format!("\nPPid:\t{launcher}\n")) && !status.contains("\nState:\tZ")
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(own)
}

fn launcher_of(supervisor: i32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:\t")).unwrap().to_owned()
}

#[test]
fn workloads_are_launched_when_the_zygote_has_been_killed_and_it_ends_with_the_launcher() {
    let mut bed = Bed::new();
    let first = bed.run(&["sleep", "100"], |_, _| {});
    let launcher = launcher_of(first.supervisor);
    let zygote = zygote_of(&launcher).unwrap();
    unsafe { libc::kill(zygote, libc::SIGKILL) };
    let second = bed.run(&["sleep", "100"], |_, _| {});
    assert_eq!(launcher_of(second.supervisor), launcher);
    let next = zygote_of(&launcher).unwrap();
    assert_ne!(next, zygote);
    bed.kill_launcher();
    for _ in 0..500 {
        if !runs(next) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(!runs(next), "the zygote outlives its launcher");
    assert!(runs(first.main) && runs(second.main));
    bed.restart_launcher();
}

#[test]
fn a_supervisor_carries_nothing_of_the_workloads_before_it() {
    let heap = |pid: i32| {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let range = maps.lines().find(|line| line.ends_with("[heap]")).unwrap().split(' ').next().unwrap();
        let (from, to) = range.split_once('-').unwrap();
        usize::from_str_radix(to, 16).unwrap() - usize::from_str_radix(from, 16).unwrap()
    };
    let mut bed = Bed::new();
    let workloads: Vec<_> = (0..40).map(|_| bed.run(&["sleep", "100"], |_, _| {})).collect();
    let launcher: i32 = launcher_of(workloads[0].supervisor).parse().unwrap();
    let (first, last) = (heap(workloads[0].supervisor), heap(workloads[39].supervisor));
    assert!(last <= first + 16 * 1024, "{first} bytes grew to {last}; the launcher has {}", heap(launcher));
}
