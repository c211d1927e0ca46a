//! Tables of what a file may say, and what is done with such a table: check a file against it, read typed
//! values with defaults, print it as a page, give it as JSON Schema. So nothing is said twice.
//!
//! No key of any real file stands here: the tables are in `config::keys` and `pipeline::spec::grammar`.

mod check;
mod page;
mod part;
mod scalar;
mod schema;
mod table;

pub use check::{Check, nearest};
pub use page::page;
#[cfg(test)]
pub(crate) use page::same_page;
pub use part::Part;
pub use scalar::Scalar;
pub use schema::json_schema;
pub use table::{Fields, Is, Key, Need, When, Word};
