//! The very end of a supervisor: its clients' last bytes, and their closing. Nothing of the workload stands any more.

use super::client::Client;
use bulkhead_wire::clock::monotonic_ns;
use bulkhead_wire::poller::{Interest, Poller, Ready};

/// How long a client that reads nothing more is waited for.
const LINGER_MS: u64 = 60_000;
/// How long one that has everything is waited for to close its end.
const CLOSING_MS: u64 = 2_000;
const SCRATCH_BYTES: usize = 4096;

/// Clients that read slowly still get their last bytes, as long as they read at all. `known`: the poller that they are in.
pub fn linger(mut clients: Vec<Client>, known: &Poller) {
    // A poller of its own: what else became readable meanwhile must not keep this loop awake.
    let Ok(poller) = Poller::new() else { return };
    for client in &mut clients {
        client.flush(known);
        client.connection.broken |= poller.add(client.connection.descriptor(), client.token, Interest::WRITE).is_err();
    }
    let mut ready = [Ready::EMPTY; 16];
    let mut served = Vec::new();
    loop {
        let (done, waiting): (Vec<_>, Vec<_>) = clients.into_iter().partition(|client| client.connection.broken || client.connection.queued() == 0);
        clients = waiting;
        for client in done {
            poller.remove(client.connection.descriptor());
            if client.closes_first() {
                served.push(client);
            }
        }
        if clients.is_empty() || !matches!(poller.wait(&mut ready, Some(LINGER_MS)), Ok(1..)) {
            break;
        }
        for client in &mut clients {
            client.flush(&poller);
        }
    }
    await_closing(served);
}

fn await_closing(mut clients: Vec<Client>) {
    let until = monotonic_ns() + CLOSING_MS * 1_000_000;
    let Ok(poller) = Poller::new() else { return };
    clients.retain(|client| poller.add(client.connection.descriptor(), client.token, Interest::READ).is_ok());
    let mut scratch = [0; SCRATCH_BYTES];
    let mut ready = [Ready::EMPTY; 16];
    loop {
        clients.retain_mut(|client| !client.has_closed(&mut scratch));
        let left_ms = until.saturating_sub(monotonic_ns()) / 1_000_000;
        if clients.is_empty() || left_ms == 0 || !matches!(poller.wait(&mut ready, Some(left_ms)), Ok(1..)) {
            return;
        }
    }
}
