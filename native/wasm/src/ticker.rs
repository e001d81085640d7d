//! The clock by which endless loops give way. It stands while nothing runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use wasmtime::Engine;

const TICK: Duration = Duration::from_millis(10);

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static ASLEEP: Mutex<bool> = Mutex::new(false);
static WAKE: Condvar = Condvar::new();

pub fn start(engine: Engine) {
    let _ = std::thread::Builder::new().name("tick".into()).stack_size(64 * 1024).spawn(move || {
        loop {
            if RUNNING.load(Ordering::SeqCst) == 0 {
                let mut asleep = ASLEEP.lock().unwrap_or_else(PoisonError::into_inner);
                *asleep = true;
                while *asleep && RUNNING.load(Ordering::SeqCst) == 0 {
                    asleep = WAKE.wait(asleep).unwrap_or_else(PoisonError::into_inner);
                }
                *asleep = false;
            }
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    });
}

/// While it lives the clock runs.
pub struct Running;

impl Running {
    pub fn begin() -> Running {
        if RUNNING.fetch_add(1, Ordering::SeqCst) == 0 {
            let mut asleep = ASLEEP.lock().unwrap_or_else(PoisonError::into_inner);
            *asleep = false;
            WAKE.notify_one();
        }
        Running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}
