//! The table as a server shares it.

use super::{Table, View};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::sync::Arc;

/// A table that many use: one writes at a time, readers never wait.
#[derive(Default)]
pub struct Routes {
    table: Mutex<Table>,
    view: ArcSwap<View>,
}

impl Routes {
    /// A shared table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { view: ArcSwap::from_pointee(table.view().clone()), table: Mutex::new(table) }
    }

    /// The newest state.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Lets an event happen, and readers see its outcome.
    pub fn apply<T>(&self, event: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table.lock();
        let outcome = event(&mut table);
        let (new, old) = (table.view(), self.view.load());
        if !Arc::ptr_eq(&new.brokers, &old.brokers) || !Arc::ptr_eq(&new.topics, &old.topics) {
            self.view.store(Arc::new(new.clone()));
        }
        outcome
    }
}
