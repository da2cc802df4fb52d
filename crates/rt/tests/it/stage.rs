//! On which thread a stage steps.

use parking_lot::Mutex;
use rt::{Host, Signal, Stage, Step};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Tells which threads it stepped on; each step takes so long.
struct Telling {
    threads: Arc<Mutex<Vec<String>>>,
    takes: Arc<Mutex<Duration>>,
    panics: bool,
}

impl Stage for Telling {
    fn step(&mut self) -> Step {
        let takes = *self.takes.lock();
        thread::sleep(takes);
        let thread = thread::current().name().unwrap_or_default().to_owned();
        let is_lent = thread != "telling";
        self.threads.lock().push(thread);
        assert!(!(is_lent && self.panics), "as planned");
        Step::Wait
    }
}

struct Seen {
    signal: Signal,
    threads: Arc<Mutex<Vec<String>>>,
    takes: Arc<Mutex<Duration>>,
}

impl Seen {
    fn of(panics: bool) -> Self {
        let seen = Self { signal: Signal::default(), threads: Arc::default(), takes: Arc::default() };
        let stage = Telling { threads: Arc::clone(&seen.threads), takes: Arc::clone(&seen.takes), panics };
        let handle = Host::real().spawn_stage("telling", seen.signal.clone(), stage);
        drop(handle.expect("a thread"));
        seen
    }

    /// Has it step once more, and tells whether a task's thread was lent for that.
    async fn is_lent(&self) -> bool {
        let before = self.threads.lock().len();
        self.signal.give_soon();
        while self.threads.lock().len() == before {
            rt::sleep(Duration::from_millis(1)).await;
        }
        self.threads.lock()[before] != "telling"
    }

    /// Has it step until a task's thread was lent for that: its own may be about to go to rest.
    async fn until_lent(&self) {
        while !self.is_lent().await {}
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

#[test]
fn a_stage_keeps_to_its_own_thread_while_it_is_slow() {
    run(async {
        let seen = Seen::of(false);
        seen.until_lent().await;
        *seen.takes.lock() = Duration::from_millis(100);
        seen.until_lent().await;
        *seen.takes.lock() = Duration::ZERO;
        assert!(!seen.is_lent().await);
        seen.until_lent().await;
    });
}

#[test]
fn a_stage_that_panics_on_a_lent_thread_is_done() {
    run(async {
        let seen = Seen::of(true);
        seen.until_lent().await;
        let steps = seen.threads.lock().len();
        seen.signal.give_soon();
        seen.signal.give();
        rt::sleep(Duration::from_millis(50)).await;
        assert_eq!(seen.threads.lock().len(), steps);
    });
}
