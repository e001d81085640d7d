//! How fast a share is through this machine's own kernel: what the server and its wire cost, without a guest. Prints, asserts nothing.
//! `cargo test --release -p bulkhead-share --test speed -- --ignored --nocapture`

mod bed;

use bed::*;
use std::fs;
use std::time::Instant;

#[test]
#[ignore = "measures; run it by name"]
fn figures() {
    let scratch = Scratch::new();
    let shared = scratch.shared();
    mounted(&scratch, &shared.clone(), false, move |place| {
        let timed = |name: &str, count: f64, unit: &str, work: &dyn Fn()| {
            let begin = Instant::now();
            work();
            println!("{name}: {:.0} {unit}", count / begin.elapsed().as_secs_f64());
        };
        let bytes = vec![7_u8; 128 << 20];
        timed("write", 128.0, "MiB/s", &|| fs::write(place.join("large"), &bytes).expect("written"));
        timed("read", 128.0, "MiB/s", &|| assert_eq!(fs::read(place.join("large")).expect("read").len(), bytes.len()));
        timed("create", 2000.0, "a second", &|| (0..2000).for_each(|number| fs::write(place.join(number.to_string()), "x").expect("made")));
        timed("stat", 2000.0, "a second", &|| (0..2000).for_each(|number| assert!(place.join(number.to_string()).exists())));
        timed("list with attributes", 2000.0, "a second", &|| {
            assert_eq!(fs::read_dir(place).expect("open").filter(|entry| entry.as_ref().is_ok_and(|entry| entry.metadata().is_ok())).count(), 2001);
        });
    });
}
