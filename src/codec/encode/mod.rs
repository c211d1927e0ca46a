//! Encoding: an encoder, compiled once for a schema and the shape of what is to be written.
//!
//! ```text
//! schema ─┐
//! shape  ─┴─▶ compile ─▶ writers        values by slot ─▶ writers ─▶ body
//! ```
//!
//! Nothing is rounded or cut: what does not fit its field exactly is an error that names the field.

mod compile;
mod encoder;
mod scalar;
mod writer;

pub use encoder::Encoder;
