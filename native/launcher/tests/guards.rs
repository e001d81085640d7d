//! What a plan may not make the launcher do, what a client may not make it keep, and who may be a workload's supervisor.

mod harness;

use harness::{Bed, Client, EVERYTHING, guest, record_of, runs};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;

fn machine(bed: &Bed, change: impl FnOnce(&mut Value)) -> Value {
    bed.plan(&["true"], |plan, _| {
        let directory = plan["directory"].as_str().unwrap().to_string();
        plan["engine"] = json!({
            "kind": "machine", "program": "/usr/bin/qemu-system-x86_64", "arguments": ["-sandbox", "on,elevateprivileges=deny,spawn=deny"],
            "uid": 0x6c00_0000, "gid": 0x6c00_0000, "files": [], "kvm": false, "scratch": {"path": format!("{directory}/scratch"), "bytes": 8 << 20},
            "bootDeadlineMs": 1000, "mainProcess": guest(&["true"]), "shares": [],
            "guest": {"hostname": "h", "hosts": "", "resolvConf": "", "network": null, "layers": [], "readOnlyRoot": false, "mounts": [], "shmBytes": 0,
                "sysctls": {}, "limits": {}, "maskedPaths": [], "readOnlyPaths": []}
        });
        change(&mut plan["engine"]);
    })
}

fn refusal(bed: &mut Bed, plan: &Value) -> Value {
    let failure = bed.launcher.call("launch", json!({ "plan": plan })).expect_err("the plan is refused");
    assert!(bed.launcher.call("sweep", json!({"keep": []})).unwrap()["stuck"].as_array().unwrap().is_empty());
    failure
}

#[test]
fn programs_and_their_arguments_are_those_of_the_table() {
    let mut bed = Bed::new();
    let copy = bed.path("crun");
    fs::copy("/usr/bin/crun", &copy).unwrap();
    let plan = bed.plan(&["true"], |plan, _| plan["engine"]["runtime"]["path"] = json!(copy));
    assert_eq!(refusal(&mut bed, &plan)["code"], "DENIED_BY_POLICY");
    let plan = bed.plan(&["true"], |plan, _| plan["engine"]["runtime"]["arguments"] = json!(["--root=/etc"]));
    assert_eq!(refusal(&mut bed, &plan)["code"], "DENIED_BY_POLICY");
    let plan = machine(&bed, |engine| engine["program"] = json!("/bin/sh"));
    assert_eq!(refusal(&mut bed, &plan)["code"], "DENIED_BY_POLICY");
    for arguments in [json!([]), json!(["-sandbox", "off"]), json!(["-sandbox", "on,elevateprivileges=deny,spawn=deny", "-sandbox", "off"])] {
        let plan = machine(&bed, |engine| engine["arguments"] = arguments);
        assert_eq!(refusal(&mut bed, &plan)["code"], "DENIED_BY_POLICY");
    }
}

#[test]
fn a_machine_is_shown_neither_the_hosts_secrets_nor_our_own() {
    let mut bed = Bed::new();
    for path in ["/etc/shadow".to_string(), "/proc/self/mem".into(), bed.path("secret")] {
        fs::write(bed.path("secret"), "").unwrap();
        let plan = machine(&bed, |engine| engine["files"] = json!([{"path": path, "writable": false}]));
        assert_eq!(refusal(&mut bed, &plan)["code"], "DENIED_BY_POLICY", "{path}");
    }
    std::os::unix::fs::symlink(bed.path("root/identity.json"), bed.path("innocent")).unwrap();
    for source in [bed.path("root"), bed.path("root/identity.json"), bed.path("root/w"), bed.path("innocent")] {
        let plan = machine(&bed, |engine| engine["shares"] = json!([{"source": source, "readOnly": true}]));
        assert_eq!(refusal(&mut bed, &plan)["code"], "DENIED_BY_POLICY", "{source}");
    }
    // A control: the same plan with what may be shown comes as far as its monitor, which finds no kernel.
    fs::create_dir_all(bed.path("root/volumes/v")).unwrap();
    for source in [bed.path("root/volumes/v"), "/etc".into()] {
        let plan = machine(&bed, |engine| engine["shares"] = json!([{"source": source, "readOnly": true}]));
        assert_ne!(refusal(&mut bed, &plan)["code"], "DENIED_BY_POLICY", "{source}");
    }
}

#[test]
fn of_launches_at_the_same_time_one_wins_and_the_others_leave_it_alone() {
    let mut bed = Bed::new();
    for _ in 0..10 {
        let plan = bed.plan(&["sleep", "100"], |_, _| {});
        let launches: Vec<_> = (0..4)
            .map(|_| {
                let (socket, plan) = (bed.path("run/l"), plan.clone());
                std::thread::spawn(move || Client::connect(&socket).call("launch", json!({ "plan": plan })))
            })
            .collect();
        let answers: Vec<_> = launches.into_iter().map(|launch| launch.join().unwrap()).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(|failure| failure["code"] == "ALREADY_EXISTS"), "{answers:?}");
        let mut client = Client::connect(plan["socket"].as_str().unwrap());
        client.call("start", json!({})).unwrap();
        client.call("end", json!({})).unwrap();
        assert_eq!(record_of(&plan)["kind"], "ended");
        bed.remove(&plan);
    }
}

#[test]
fn a_launch_after_the_launcher_was_killed_takes_nothing_from_a_supervisor_that_stands() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["sleep", "100"], |_, _| {});
    bed.kill_launcher();
    bed.restart_launcher();
    let failure = bed.launcher.call("launch", json!({"plan": workload.plan})).unwrap_err();
    assert_eq!(failure["code"], "ALREADY_EXISTS");
    assert!(runs(workload.main));
    workload.client.call("ping", json!({})).unwrap();
}

fn resident_kilobytes(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap()
}

#[test]
fn a_client_that_asks_and_never_reads_costs_a_bounded_amount() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["sleep", "100"], |_, _| {});
    let mut rude = Client::connect(workload.plan["socket"].as_str().unwrap());
    rude.stream.set_write_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    let message = json!({"id": 1, "verb": "top"}).to_string();
    let mut frame = Vec::new();
    bulkhead_wire::frame::append(&mut frame, bulkhead_wire::Kind::Message, 0, message.as_bytes());
    let asked = frame.repeat(1000);
    // Its requests wait in the kernel's buffers in the end, and with them its writes.
    let stopped = (0..400).any(|_| rude.stream.write_all(&asked).is_err());
    assert!(stopped, "400,000 requests were taken without one answer being read");
    assert!(resident_kilobytes(workload.supervisor) < 12 * 1024);
    workload.client.call("stats", json!({})).unwrap();
}

#[test]
fn on_a_full_disk_what_runs_can_be_entered_stopped_and_removed() {
    let mut bed = Bed::on_small_disk(24);
    let held = bed.plan(&["sleep", "100"], |_, _| {});
    let mut held = bed.launch(&held);
    let mut workload = bed.run(&["sleep", "100"], |_, _| {});
    let mut filler = fs::File::create(bed.path("filler")).unwrap();
    for bytes in [vec![0u8; 1 << 20], vec![0u8; 4096], vec![0u8; 1]] {
        while filler.write_all(&bytes).is_ok() {}
    }
    assert!(fs::write(bed.path("more"), "x").is_err(), "the disk is full");
    held.client.call("start", json!({})).expect("what was held can be started");
    for _ in 0..3 {
        let exec = workload.client.call("exec", json!({"spec": guest(&["echo", "still here"]), "attach": EVERYTHING()})).expect("an exec can be begun");
        assert_eq!(workload.client.output(exec["process"].as_u64().unwrap() as u32), "still here\n");
    }
    for workload in [&mut held, &mut workload] {
        workload.client.call("end", json!({})).expect("it can be ended");
        assert_eq!(record_of(&workload.plan)["kind"], "ended");
    }
    for plan in [&held.plan, &workload.plan] {
        bed.remove(plan);
    }
}

#[test]
fn what_a_runtime_keeps_lies_in_no_file_of_the_host() {
    let mut bed = Bed::new();
    let workload = bed.run(&["sleep", "100"], |_, _| {});
    assert_eq!(fs::read_dir(bed.path("run/state")).unwrap().count(), 0);
    assert!(Path::new(&format!("/proc/{}/root{}/{}", workload.supervisor, bed.path("run/state"), workload.plan["workload"].as_str().unwrap())).exists());
}

#[test]
fn an_exec_that_is_killed_long_after_a_shortage_is_not_out_of_memory() {
    let mut bed = Bed::new();
    let mut workload = bed.run(&["sleep", "100"], |plan, _| plan["limits"] = json!({"memoryBytes": 16 << 20, "memorySwapBytes": 16 << 20}));
    let mut exec = |command: &[&str]| {
        let process = workload.client.call("exec", json!({"spec": guest(command), "attach": EVERYTHING()})).unwrap()["process"].clone();
        let client = &mut workload.client;
        if command[0] == "sleep" {
            std::thread::sleep(std::time::Duration::from_millis(1200));
            client.call("signal", json!({"process": process, "signal": "SIGKILL"})).unwrap();
        }
        loop {
            let event = client.event("exited");
            if event["process"] == process {
                return event["status"].clone();
            }
        }
    };
    let hungry = exec(&["sh", "-c", "exec head -c 100000000 /dev/zero | wc -L"]);
    let starved = exec(&["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]);
    assert!(hungry["code"] == 137 || starved["code"] == 137, "{hungry} {starved}");
    assert!(hungry["outOfMemory"] == true || starved["outOfMemory"] == true, "{hungry} {starved}");
    let killed = exec(&["sleep", "100"]);
    assert_eq!((&killed["code"], &killed["outOfMemory"]), (&json!(137), &json!(false)));
}
