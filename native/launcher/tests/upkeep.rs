//! What a launcher keeps standing while others flush, and what it leaves when it is torn down. In a network namespace of the test's own.

mod harness;

use harness::{Bed, record_of, runs};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What this thread starts from now on is in a new network namespace.
fn enter_namespace() {
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "the test needs root");
    shell("ip link set lo up");
}

fn root_id(bed: &mut Bed) -> String {
    bed.launcher.call("hello", json!({"version": 1})).unwrap()["rootId"].as_str().unwrap().to_string()
}

fn publish(bed: &mut Bed) -> (String, harness::Workload) {
    let root_id = root_id(bed);
    let bridge = format!("bh{root_id}0");
    bed.launcher.call("bridgeEnsure", json!({"bridge": bridge, "address": "172.31.0.1", "prefixLength": 24, "mtu": 1500, "masquerade": true})).unwrap();
    let port = |protocol: &str| json!({"protocol": protocol, "hostAddress": "0.0.0.0", "hostPort": 8099, "workloadPort": 80});
    let workload = bed.run(&["sleep", "100"], |plan, _| {
        plan["network"] = json!({"kind": "bridge", "bridge": bridge, "interfaceName": "eth0", "address": "172.31.0.2", "prefixLength": 24,
            "gateway": "172.31.0.1", "mac": "02:42:ac:1f:00:02", "mtu": 1500, "ports": [port("tcp"), port("udp")]});
    });
    (root_id, workload)
}

fn groups(root_id: &str) -> String {
    shell(&format!("find /sys/fs/cgroup -name 'bulkhead-{root_id}' 2>/dev/null || true"))
}

fn await_rules(wanted: &str) -> bool {
    let patience = Instant::now() + Duration::from_secs(20);
    while Instant::now() < patience {
        if shell("nft list ruleset").contains(wanted) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

#[test]
fn published_ports_come_back_after_a_flush_also_under_a_launcher_that_came_later() {
    enter_namespace();
    let mut bed = Bed::new();
    let (_root_id, workload) = publish(&mut bed);
    let id = workload.plan["workload"].as_str().unwrap().to_string();
    let before = shell("nft list ruleset | grep -v packets");
    assert!(before.contains(&id) && before.contains("tcp . 8099") && before.contains("udp . 8099"), "{before}");
    shell("nft flush ruleset");
    assert!(!shell("nft list ruleset").contains(&id), "the control: they are gone");
    assert!(await_rules(&id));
    assert_eq!(shell("nft list ruleset | grep -v packets"), before);
    bed.kill_launcher();
    bed.restart_launcher();
    shell("nft flush ruleset");
    assert!(await_rules(&id), "the next launcher looks after what the first one made");
}

#[test]
fn a_teardown_by_verb_or_from_outside_leaves_nothing() {
    enter_namespace();
    for outside in [false, true] {
        let mut bed = Bed::new();
        let (root_id, workload) = publish(&mut bed);
        assert!(!groups(&root_id).is_empty() && shell("nft list ruleset; ip -br link").contains(&root_id), "the control");
        if outside {
            let program = env!("CARGO_BIN_EXE_bulkhead-launcher");
            shell(&format!("{program} --teardown --root {} --run {}", bed.path("root"), bed.path("run")));
        } else {
            let told = bed.launcher.call("teardown", json!({})).unwrap();
            assert_eq!(told["bridges"], json!([format!("bh{root_id}0")]));
        }
        bed.await_launcher();
        assert!(!runs(workload.main));
        // Its supervisor waits for this client to close first.
        drop(workload.client);
        let patience = Instant::now() + Duration::from_secs(5);
        while runs(workload.supervisor) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!runs(workload.supervisor));
        assert_eq!(groups(&root_id), "");
        assert_eq!(shell("nft list ruleset; ip -br link").matches(&root_id).count(), 0);
    }
}

#[test]
fn launcher_and_supervisor_killed_at_once_lose_the_workload_at_the_next_start_and_say_so() {
    let mut bed = Bed::new();
    let root_id = root_id(&mut bed);
    let workload = bed.run(&["sleep", "100"], |_, _| {});
    bed.kill_launcher();
    unsafe { libc::kill(workload.supervisor, libc::SIGKILL) };
    std::thread::sleep(Duration::from_millis(200));
    assert!(!Path::new(workload.plan["exitRecord"].as_str().unwrap()).exists(), "the control: nobody is left to tell");
    bed.restart_launcher();
    let record = record_of(&workload.plan);
    assert_eq!((&record["kind"], &record["started"]), (&json!("boundary-lost"), &json!(true)));
    assert!(!runs(workload.main));
    let id = workload.plan["workload"].as_str().unwrap();
    assert_eq!(shell(&format!("find /sys/fs/cgroup -path '*bulkhead-{root_id}/{id}' 2>/dev/null || true")), "", "its groups are gone");
    bed.remove(&workload.plan);
}
