//! Reading YAML with places, within bounds, without its traps.
//!
//! A plain scalar keeps its text: what it is, is decided by who knows the key. No anchors, aliases, merge
//! keys, tags, directives or second documents, no name twice in a map. Nothing here knows what a file is for.

mod node;
mod read;
mod text;
mod write;

use super::problem::{Place, Problem, Problems};

pub use node::{Entry, Kind, Node, Scalar};
pub use read::{BYTES_MAX, DEPTH_MAX, EMPTY, NODES_MAX, read, read_file};
pub use text::Text;
pub use write::write;
