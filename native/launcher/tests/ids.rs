//! Ranges of ids: what happens when all are had, and when whoever has one is killed.

mod harness;

use harness::{Bed, runs};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const FIRST: u32 = 0x7000_0000;
const RANGE: u32 = 65_536;
const END: u32 = FIRST + 4094 * RANGE;

fn plan(bed: &Bed) -> Value {
    bed.plan(&["sleep", "100"], |plan, config| {
        plan["version"] = json!(2);
        plan["engine"]["ownIds"] = json!(true);
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    })
}

/// Claims these ids as another launcher of the host would, for as long as the file lives.
fn claim(bed: &Bed, from: u32, to: u32) -> File {
    let file = OpenOptions::new().read(true).write(true).open(bed.path("users")).unwrap();
    let mut wanted: libc::flock = unsafe { std::mem::zeroed() };
    wanted.l_type = libc::F_WRLCK as i16;
    wanted.l_start = i64::from(from);
    wanted.l_len = i64::from(to - from);
    // Of no length means to the end of all.
    if from < to {
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &wanted) }, 0);
    }
    file
}

fn first_of(main: i32) -> u32 {
    let map = fs::read_to_string(format!("/proc/{main}/uid_map")).unwrap();
    let fields: Vec<u32> = map.split_whitespace().map(|field| field.parse().unwrap()).collect();
    assert_eq!((fields[0], fields[2]), (0, RANGE));
    fields[1]
}

/// What a sweep finds to take away.
fn traces(bed: &mut Bed, keep: &[&Value]) -> Value {
    bed.launcher.call("sweep", json!({ "keep": keep })).unwrap()
}

#[test]
fn where_all_ranges_are_had_a_workload_is_refused_and_nothing_is_half_made() {
    let mut bed = Bed::with_own_users();
    let others = claim(&bed, FIRST, END);
    let wanted = plan(&bed);
    let failure = bed.launcher.call("launch", json!({ "plan": wanted })).expect_err("no range is free");
    assert_eq!(failure["code"], "EXHAUSTED");
    assert!(failure["remedy"].as_str().unwrap().contains("--userns=host"), "{failure}");
    assert_eq!(traces(&mut bed, &[]), json!({"removed": [], "stuck": []}));
    drop(others);
    let workload = bed.launch(&wanted);
    let first = first_of(workload.main);
    assert!((FIRST..END).contains(&first) && (first - FIRST).is_multiple_of(RANGE));
    bed.remove(&wanted);
}

#[test]
fn a_range_is_one_workloads_alone_until_it_ends_also_by_the_death_of_its_supervisor() {
    let mut bed = Bed::with_own_users();
    let held = plan(&bed);
    let workload = bed.launch(&held);
    let first = first_of(workload.main);
    let _others = (claim(&bed, FIRST, first), claim(&bed, first + RANGE, END));
    let wanted = plan(&bed);
    assert_eq!(bed.launcher.call("launch", json!({ "plan": wanted })).expect_err("it is had")["code"], "EXHAUSTED");
    unsafe { libc::kill(workload.supervisor, libc::SIGKILL) };
    let patience = Instant::now() + Duration::from_secs(10);
    while runs(workload.main) {
        assert!(Instant::now() < patience, "a workload without its supervisor is ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    let next = bed.launch(&wanted);
    assert_eq!(first_of(next.main), first);
    bed.remove(&held);
    bed.remove(&wanted);
}
