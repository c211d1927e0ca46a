//! Records in Kafka topics: at least once, each with an event id that a repeat has too.
//!
//! ```text
//! read     the route and the key are checked against the event's shape
//! bind     the output's schema is fixed: the newest contract, else the registry's newest version
//! encode   an event ──▶ key, headers, timestamp and a framed value (pure)
//! apply    the records of a step, in their order, by an idempotent producer; all are awaited
//! ```
//!
//! A step that is asked for again while its records are still on their way waits for them instead of
//! sending them twice; what a broker has acknowledged of a step is not sent again in its halves. So records
//! repeat only when the process ends between a broker's acknowledgement and the commit.

mod form;

mod encoder;

mod sink;

pub use sink::{Options, Target, Topic, fits};
