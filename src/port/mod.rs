//! The traits between the engine and the world: what one edge needs of another, it asks for here.
//!
//! No implementation, no client library and no policy enters this room. Async methods return boxed
//! futures: they are called once a batch, never once a record.

mod admin;
mod intake;
mod keyed;
mod outbox;
mod producer;
mod progress;
mod schemas;
mod sink;

pub use admin::{Admin, Commits, CommittedAt, TopicInfo, Watermarks};
pub use intake::{Batch, Command, Commit, Intake, Room, StartAt, Trouble};
pub use keyed::KeyedSink;
pub use outbox::Outbox;
pub use producer::{Outgoing, Producer};
pub use progress::{Beginning, Claim, Moved, Progress, Wanted};
pub use schemas::{Reference, Registered, SchemaText, Schemas};
pub use sink::{BatchSink, Encode, Otherwise, Refusal, Step};

/// A boxed future that may move between threads.
pub type Future<'a, T> = futures::future::BoxFuture<'a, T>;
