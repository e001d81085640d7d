//! How many files an instance may hold open. The runner's descriptors are shared by all instances of its domain: without a bound one of them
//! takes them all.

use crate::instance::ModuleState;
use wasmtime::{AsContextMut, Caller, Extern, Linker};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{WasiSnapshotPreview1, path_open};
use wasmtime_wasi::{ResourceTable, WasiView};
use wiggle::GuestMemory;

/// As a kernel's usual soft limit; a runner that has few descriptors itself gives less.
const MOST: u64 = 1024;
/// Of the runner's descriptors no instance takes more than this part.
const SHARE: u64 = 4;
/// What a module has in its table besides files, for the length of one call: what it polls, what it reads of a directory.
const BESIDES: usize = 4096;
/// WASI's EMFILE.
const TOO_MANY: i32 = 33;

/// The bound, where the runner may open so many.
pub fn most(descriptors: u64) -> usize {
    MOST.min(descriptors / SHARE) as usize
}

/// A component's bound: everything that it holds counts, and beyond it the component ends, for its interface has no word for this.
pub fn bound_component(table: &mut ResourceTable, most: usize) {
    table.set_max_capacity(most);
}

/// A module's second bound, for what is not opened by a path.
pub fn bound_module(state: &mut impl WasiView, most: usize) {
    state.ctx().table.set_max_capacity(most + BESIDES);
}

/// WASI's `path_open`: its arguments as they lie on the stack.
type PathOpen = (i32, i32, i32, i32, i32, i64, i64, i32, i32);

/// Puts a door before the engine's own `path_open`, which opens whatever is asked for.
pub fn guard(linker: &mut Linker<ModuleState>) -> wasmtime::Result<()> {
    linker.func_wrap_async("wasi_snapshot_preview1", "path_open", |caller: Caller<'_, ModuleState>, asked: PathOpen| Box::new(open(caller, asked)))?;
    Ok(())
}

async fn open(mut caller: Caller<'_, ModuleState>, asked: PathOpen) -> wasmtime::Result<i32> {
    let state = caller.data_mut();
    if state.wasi.ctx().table.iter_mut().count() >= state.most_files {
        return Ok(TOO_MANY);
    }
    let fuel = caller.as_context_mut().hostcall_fuel();
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { wasmtime::bail!("missing required memory export") };
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    state.wasi.set_hostcall_fuel(fuel);
    let (a, b, c, d, e, f, g, h, i) = asked;
    path_open(&mut state.wasi, &mut GuestMemory::Unshared(bytes), a, b, c, d, e, f, g, h, i).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_with_few_descriptors_gives_each_instance_a_part_of_them() {
        assert_eq!((most(1 << 20), most(4096), most(1000)), (1024, 1024, 250));
    }
}
