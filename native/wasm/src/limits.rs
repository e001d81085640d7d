//! An instance's memory: counted as it grows, and fatal beyond the limit, as it is behind every other boundary.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use wasmtime::ResourceLimiter;

/// What one element of a table takes.
const ELEMENT_BYTES: u64 = 16;
/// More elements than any compiler makes; without a bound a table is memory that no limit sees.
const MOST_ELEMENTS: usize = 10_000_000;

#[derive(Default)]
pub struct Memory {
    used: AtomicU64,
    /// 0: none.
    limit: AtomicU64,
    exceeded: AtomicBool,
}

impl Memory {
    pub fn new(limit: Option<u64>) -> Arc<Memory> {
        Arc::new(Memory { limit: AtomicU64::new(limit.unwrap_or(0)), ..Memory::default() })
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    pub fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    pub fn exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }
}

pub struct Limiter(pub Arc<Memory>);

impl Limiter {
    fn grow(&self, more: u64) -> wasmtime::Result<bool> {
        let used = self.0.used().saturating_add(more);
        let limit = self.0.limit();
        if limit != 0 && used > limit {
            self.0.exceeded.store(true, Ordering::Relaxed);
            return Err(wasmtime::Error::msg("out of memory"));
        }
        self.0.used.store(used, Ordering::Relaxed);
        Ok(true)
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current) as u64)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > maximum.unwrap_or(MOST_ELEMENTS).min(MOST_ELEMENTS) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current) as u64 * ELEMENT_BYTES)
    }
}
