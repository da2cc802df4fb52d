//! Where topics live: the state of a name server.
//!
//! [`Table`] is a pure state machine: every event comes with its time, and what must be told to others comes back as
//! [`Effect`]s. Readers use the [`View`] that [`Routes`] publishes after each event, so a query never waits for a
//! registration.

mod live;
mod query;
mod register;
mod routes;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use query::Zone;
pub use register::{RegisterError, Registered, Registration};
pub use routes::Routes;
pub use table::{Effect, Options, Table};
pub use view::{Broker, TopicRoute, View};

/// Time on a clock that never goes back.
pub type Monotonic = std::time::Duration;
/// Names a connection for as long as the process lives.
pub type ConnectionId = u64;
