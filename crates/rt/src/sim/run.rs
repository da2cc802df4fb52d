//! Starting a simulation.

use super::World;
use super::scope::Running;
use std::future::Future;

/// Runs `simulation` in a world made from `seed`, to its end, on this thread and without real time passing.
///
/// Tasks that still run when it returns are dropped. Panics if the system refuses a runtime.
pub fn run<F: Future>(seed: u64, simulation: impl FnOnce(World) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without input and output needs nothing of the system");
    let _running = Running::enter();
    runtime.block_on(async { simulation(World::new(seed)).await })
}
