//! Panics inside a simulation are findings, not noise.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Collects the panics of simulations from now on, on every thread that runs one.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let otherwise = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if rt::sim::is_running() {
                SEEN.with_borrow_mut(|seen| seen.push(info.to_string()));
            } else {
                otherwise(info);
            }
        }));
    });
}

/// The panics of this thread since the last call.
pub(crate) fn take() -> Vec<String> {
    SEEN.take()
}
