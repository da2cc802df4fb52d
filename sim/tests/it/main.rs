//! The simulator judged: it repeats itself, is silent where nothing is wrong, and finds what was planted.

mod node_runs;
mod ordered_runs;
mod store_runs;
mod timed_runs;
