//! A record that cannot be settled halts its pipeline there and nowhere else.

mod neighbours;
mod records;
mod schema;
