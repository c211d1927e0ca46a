//! Scaling out by processes, on a real broker: `make scale` starts the services; `BENCH_QUICK=1` makes it short.
//!
//! ```text
//! rate  1, 2 and 4 members on a backlog, effects of 5 ms, 25 in flight in each: effects a second at n
//!       over n times those of one
//! gap   two members on a steady load, and a third that comes and goes: the longest time between two
//!       effects of a partition that stays where it is, over that of the same load without the third
//! ```
//!
//! Each member is a process of its own with the whole engine and tells when each of its effects was done. The arms of a
//! round share their topic and have groups of their own; a ratio is of one round.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench is its own reader"
)]

mod gap;
mod member;
mod orders;
mod process;
mod rate;

/// What a member is told, in one variable: it is the mark of a member's process too.
const MEMBER: &str = "BENCH_SCALE_MEMBER";

fn main() {
    if let Ok(told) = std::env::var(MEMBER) {
        return member::run(&serde_json::from_str(&told).unwrap());
    }
    let (Ok(kafka), Ok(registry)) =
        (std::env::var("ORDERMILL_TEST_KAFKA"), std::env::var("ORDERMILL_TEST_REGISTRY"))
    else {
        println!("scale: needs a broker and a registry: run make scale");
        return;
    };
    let quick = std::env::var_os("BENCH_QUICK").is_some();
    let only = std::env::var("BENCH_SCALE_ONLY").unwrap_or_default();
    if only != "gap" {
        rate::series(&kafka, &registry, quick);
    }
    if only != "rate" {
        gap::series(&kafka, &registry, quick);
    }
}

/// The median, the least and the most.
fn spread(mut ratios: Vec<f64>) -> (f64, f64, f64) {
    ratios.sort_by(f64::total_cmp);
    (ratios[ratios.len() / 2], ratios[0], ratios[ratios.len() - 1])
}
