//! A registry in memory that speaks the Confluent API (Avro only): for the demo, for development and for
//! tests. Requests and answers are values; nothing here knows a socket.
//!
//! As Confluent's: ids belong to the content (the same schema under another subject has the same id),
//! deleting is soft first and then permanent, compatibility is BACKWARD unless it is set. It forgets
//! everything when it is dropped, knows no contexts, no modes but READWRITE, and no normalisation beyond
//! the order and the spaces of the JSON.

mod refusal;

mod store;

mod schemas;

mod answer;

pub use answer::{Request, Response};
pub use schemas::EmbeddedSchemas;
pub use store::Registry;
