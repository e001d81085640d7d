//! What a network costs, cold: `cost [SAMPLES]`. Each sample after a pause of 80 ms, because back-to-back runs hide the kernel's waits.
//! Works in a network namespace of its own, with processes as the supervisor is one. Prints a series' p50 and p95 in milliseconds.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::FromRawFd;
use std::time::{Duration, Instant};

use bulkhead_network::*;

const ROOT: &str = "c057c0";

fn main() {
    let samples = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(40);
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "needs root");
    let gateway = Ipv4Addr::new(172, 31, 0, 1);
    let wish = BridgeWish { bridge: format!("bh{ROOT}0"), address: gateway, prefix_length: 24, mtu: 1500, masquerade: true, metadata: false, owner: String::new() };
    let begin = Instant::now();
    bridge_ensure(ROOT, &wish).expect("bridge");
    println!("bridge_ensure, first: {:.2}", begin.elapsed().as_secs_f64() * 1e3);
    report("bridge_ensure, again", samples, || timed(|| drop(bridge_ensure(ROOT, &wish).expect("bridge"))));
    let port = |host_port, protocol| PortSpec { protocol, host_address: Ipv4Addr::UNSPECIFIED, host_port, workload_port: 80 };
    let bridge = |ports| {
        NetworkSpec::Bridge(BridgeSpec {
            bridge: wish.bridge.clone(),
            interface_name: "eth0".into(),
            address: Ipv4Addr::new(172, 31, 0, 2),
            prefix_length: 24,
            gateway,
            mac: [2, 0x42, 172, 31, 0, 2],
            mtu: 1500,
            ports,
        })
    };
    let kinds = [
        ("none", NetworkSpec::None),
        ("bridge", bridge(vec![])),
        ("bridge, one tcp port", bridge(vec![port(8080, Protocol::Tcp)])),
        ("bridge, one udp port", bridge(vec![port(8080, Protocol::Udp)])),
    ];
    let mut series = vec![(Vec::new(), Vec::new()); kinds.len()];
    for _ in 0..samples {
        for (index, (_, spec)) in kinds.iter().enumerate() {
            std::thread::sleep(Duration::from_millis(80));
            let (raise, close) = in_child(spec);
            series[index].0.push(raise);
            series[index].1.push(close);
        }
    }
    for ((name, _), (raise, close)) in kinds.iter().zip(series) {
        print(&format!("raise, {name}"), raise);
        print(&format!("close, {name}"), close);
    }
}

fn in_child(spec: &NetworkSpec) -> (f64, f64) {
    let mut pipe = [0; 2];
    unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let child = libc::fork();
        if child == 0 {
            let mut out = std::fs::File::from_raw_fd(pipe[1]);
            let begin = Instant::now();
            let mut network = raise_for_process(spec, ROOT, &"ab".repeat(32)).expect("raised");
            let raise = begin.elapsed().as_secs_f64() * 1e3;
            if let Ok(pause) = std::env::var("PAUSE_MS") { std::thread::sleep(Duration::from_millis(pause.parse().unwrap())); }
            let close = timed(|| network.close().expect("closed"));
            let _ = out.write_all(format!("{raise} {close}").as_bytes());
            libc::_exit(0);
        }
        libc::close(pipe[1]);
        let mut text = String::new();
        std::fs::File::from_raw_fd(pipe[0]).read_to_string(&mut text).expect("read");
        libc::waitpid(child, std::ptr::null_mut(), 0);
        let numbers: Vec<f64> = text.split(' ').map(|number| number.parse().expect("the child reports")).collect();
        (numbers[0], numbers[1])
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1e3
}

fn report(name: &str, samples: usize, mut sample: impl FnMut() -> f64) {
    let series = (0..samples).map(|_| {
        std::thread::sleep(Duration::from_millis(80));
        sample()
    });
    print(name, series.collect());
}

fn print(name: &str, mut series: Vec<f64>) {
    series.sort_by(f64::total_cmp);
    let at = |share: f64| series[((series.len() - 1) as f64 * share) as usize];
    println!("{name}: n {} p50 {:.3} p95 {:.3}", series.len(), at(0.5), at(0.95));
}
