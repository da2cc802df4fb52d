//! A thread on which nothing differs from run to run.
//!
//! The standard library seeds its hash maps from the system, once per thread, so that the order of iteration differs.
//! Here `getrandom` is the one of this module: on the thread of a simulation it answers from the seed.
#![allow(unsafe_code, reason = "the system's entropy has no other door than the C function of that name")]
#![allow(clippy::disallowed_methods, reason = "other threads get their entropy from the system's file")]

use std::cell::Cell;
use std::io::Read;
use std::thread;

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Bytes of stack of a simulation.
const STACK_BYTES: usize = 16 << 20;

/// Runs `work` on a thread of its own whose entropy comes from `seed`.
///
/// Panics if the system refuses a thread or if `work` panics.
pub(crate) fn run<T: Send>(seed: u64, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let seeded = || {
            STATE.set(Some(seed));
            work()
        };
        let thread = thread::Builder::new().name(format!("seed {seed}")).stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, seeded).expect("the system has a thread left");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The C library's function, as the standard library looks it up.
///
/// # Safety
/// `buffer` must be valid for writes of `len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(buffer: *mut u8, len: usize, _flags: u32) -> isize {
    if len == 0 {
        return 0;
    }
    // SAFETY: the caller promises `len` writable bytes; bytes have no invalid values.
    let bytes = unsafe {
        std::ptr::write_bytes(buffer, 0, len);
        std::slice::from_raw_parts_mut(buffer, len)
    };
    let filled = match STATE.try_with(Cell::get).ok().flatten() {
        Some(state) => {
            STATE.set(Some(fill(bytes, state)));
            Ok(())
        }
        None => std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes)),
    };
    if filled.is_ok() { isize::try_from(len).unwrap_or(-1) } else { -1 }
}

/// Fills bytes from a state and returns the next one.
fn fill(bytes: &mut [u8], mut state: u64) -> u64 {
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        chunk.copy_from_slice(&state.rotate_left(29).to_le_bytes()[..chunk.len()]);
    }
    state
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    #[test]
    fn hash_maps_follow_the_seed() {
        let hash = |seed| super::run(seed, || RandomState::new().hash_one("name"));
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
        assert_ne!(
            RandomState::new().hash_one("name"),
            std::thread::spawn(|| RandomState::new().hash_one("name")).join().expect("no panic")
        );
    }
}
