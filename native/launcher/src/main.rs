//! The launcher: the one privileged program of Bulkhead, with a closed list of verbs, and the parent of every supervisor.
//!
//! ```text
//! main ─▶ instance (lock, identity) ─▶ mounts (private namespace) ─▶ server (one epoll)
//!                                                                     ├─ quick verbs: answered at once
//!                                                                     ├─ task: a forked child answers
//!                                                                     └─ launch: a fork of the zygote becomes supervise + oci | machine, or a task asks a wasm runner
//! ```

mod apparmor;
mod beneath;
mod confined;
mod detached;
mod disk_header;
mod disks;
mod foreign;
mod idmap;
mod instance;
mod kin;
mod launch;
mod layers;
mod loop_device;
mod memories;
mod mounts;
mod oci;
mod options;
mod orphans;
mod peer;
mod probes;
mod processes;
mod programs;
mod reach;
mod readiness;
mod removal;
mod server;
mod supervisors;
mod task;
mod teardown;
mod under_way;
mod upkeep;
mod users;
mod verbs;
mod wasm;
mod zygote;

use options::Order;

fn main() {
    let options = match options::parse(std::env::args()) {
        Ok(options) => options,
        Err(what) => {
            eprintln!("bulkhead-launcher: {what}\n{}", options::USAGE);
            std::process::exit(2);
        }
    };
    let done = match options {
        Order::Serve(options) => run(&options),
        Order::TearDown(options) => teardown::from_outside(&options),
        Order::Orphans { remove } => tell_orphans(remove),
    };
    if let Err(what) = done {
        eprintln!("bulkhead-launcher: {what}");
        std::process::exit(1);
    }
}

fn tell_orphans(remove: bool) -> Result<(), String> {
    let found = if remove { orphans::remove()? } else { orphans::find()? };
    for (id, names) in found {
        println!("{id}: {}", names.join(", "));
    }
    Ok(())
}

fn run(options: &options::Options) -> Result<(), String> {
    // Buffers come and go; what is freed goes back to the kernel instead of staying in every fork.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 * 1024);
        libc::umask(0o022);
    }
    bulkhead_machine::look_at_the_host();
    detached::default_signals();
    raise_descriptor_limit();
    instance::make_directory(&options.root, 0o711)?;
    instance::make_directory(&options.run, 0o711)?;
    let _lock = instance::lock(&options.root)?;
    let root_id = instance::identity(&options.root)?;
    supervisors::make_directory(&options.run)?;
    mounts::enter_private_namespace().map_err(|failure| failure.what)?;
    let state = supervisors::state_directory(&options.run);
    instance::make_directory(&state, 0o711)?;
    mounts::mount_state(&state).map_err(|failure| failure.what)?;
    if let Err(error) = mounts::mount_stage() {
        eprintln!("bulkhead-launcher: no workload can have a user namespace: {} cannot be made: {error}", mounts::STAGE);
    }
    let place = launch::Place::open(options, &root_id)?;
    let mut server = server::Server::open(options, place).map_err(|error| format!("cannot listen at {}: {error}", options.socket.display()))?;
    server.take_up();
    readiness::announce();
    server.serve();
    server.place.layout.remove_bases();
    let _ = std::fs::remove_file(&options.socket);
    Ok(())
}

/// A descriptor and a pipe for every supervisor: far more than the usual thousand.
fn raise_descriptor_limit() {
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
