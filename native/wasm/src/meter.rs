//! Around an instance's run: processor time is counted, shared out and limited here, and here it is paused and killed.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What a signal's number never is.
const ALIVE: i32 = 0;
/// The kernel's own period for quotas.
const PERIOD: Duration = Duration::from_millis(100);

#[derive(Default)]
pub struct Gate {
    killed_by: AtomicI32,
    paused: AtomicBool,
    waker: Mutex<Option<Waker>>,
    cpu_ns: AtomicU64,
    /// Most nanoseconds of processor time in all; 0 is none.
    cpu_limit_ns: AtomicU64,
    /// Nanoseconds in each period; 0 is none.
    quota_ns: AtomicU64,
}

impl Gate {
    pub fn new(cpu_limit_ns: u64, cpus: Option<f64>) -> Arc<Gate> {
        let gate = Gate { cpu_limit_ns: AtomicU64::new(cpu_limit_ns), ..Gate::default() };
        gate.set_cpus(cpus);
        Arc::new(gate)
    }

    pub fn kill(&self, signal: i32) {
        let _ = self.killed_by.compare_exchange(ALIVE, signal, Ordering::SeqCst, Ordering::SeqCst);
        self.wake();
    }

    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
        self.wake();
    }

    pub fn set_cpus(&self, cpus: Option<f64>) {
        let quota = cpus.map_or(0, |cpus| (cpus * PERIOD.as_nanos() as f64) as u64);
        self.quota_ns.store(quota, Ordering::SeqCst);
    }

    pub fn cpu_ns(&self) -> u64 {
        self.cpu_ns.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

pub enum Metered<T> {
    Done(T),
    /// The number of the signal.
    Killed(i32),
    OutOfTime,
}

/// Runs it to its end, or until the gate says otherwise; what is then left of it is dropped, wherever it stood.
pub struct Meter<F> {
    pub inner: Pin<Box<F>>,
    pub gate: Arc<Gate>,
    period: Instant,
    spent_ns: u64,
    rest: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<F> Meter<F> {
    pub fn new(inner: F, gate: Arc<Gate>) -> Meter<F> {
        Meter { inner: Box::pin(inner), gate, period: Instant::now(), spent_ns: 0, rest: None }
    }

    /// Ready once there is processor time to be spent.
    fn poll_quota(&mut self, context: &mut Context) -> bool {
        let quota = self.gate.quota_ns.load(Ordering::Relaxed);
        if quota == 0 {
            return true;
        }
        // What was overspent is paid back by as many periods.
        let due = self.period + Duration::from_nanos((self.spent_ns as f64 / quota as f64 * PERIOD.as_nanos() as f64) as u64);
        let now = Instant::now();
        if self.spent_ns < quota || now >= due {
            if now.duration_since(self.period) >= PERIOD {
                self.period = now;
                self.spent_ns = 0;
            }
            self.rest = None;
            return true;
        }
        let rest = self.rest.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
        if rest.as_mut().poll(context).is_pending() {
            return false;
        }
        self.rest = None;
        self.period = Instant::now();
        self.spent_ns = 0;
        true
    }
}

impl<F: Future> Future for Meter<F> {
    type Output = Metered<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Self::Output> {
        let this = &mut *self;
        // Noted before the state is looked at: a change after this wakes it.
        *this.gate.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        match this.gate.killed_by.load(Ordering::SeqCst) {
            ALIVE => {}
            signal => return Poll::Ready(Metered::Killed(signal)),
        }
        if this.gate.paused.load(Ordering::SeqCst) || !this.poll_quota(context) {
            return Poll::Pending;
        }
        let before = thread_time_ns();
        let polled = this.inner.as_mut().poll(context);
        let spent = thread_time_ns().saturating_sub(before);
        this.spent_ns += spent;
        let all = this.gate.cpu_ns.fetch_add(spent, Ordering::Relaxed) + spent;
        if let Poll::Ready(done) = polled {
            return Poll::Ready(Metered::Done(done));
        }
        let limit = this.gate.cpu_limit_ns.load(Ordering::Relaxed);
        if limit != 0 && all >= limit { Poll::Ready(Metered::OutOfTime) } else { Poll::Pending }
    }
}

fn thread_time_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
