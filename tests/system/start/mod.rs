//! How a process starts: in a world that is not there yet, or not as the files say.

mod away;
mod files;
mod unfit;
