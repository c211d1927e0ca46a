//! Orders at a steady pace, so that there is load while things break.

use tpchgen::generators::OrderGenerator;

use super::ground::{Line, json_line};
use crate::support::Feed;

const A_SECOND: usize = 2_000;

/// Begins to put the orders of a scale into the topic, each under its own key.
pub(super) fn start(line: &Line<'_>, scale: f64) -> Feed {
    keyed(line, scale, "o_orderkey")
}

/// The same by another field: orders of one key must stay in their order.
pub(super) fn keyed(line: &Line<'_>, scale: f64, key: &str) -> Feed {
    line.register();
    let orders = OrderGenerator::new(scale, 1, 1).into_iter().map(|order| json_line(&order));
    Feed::start(A_SECOND, orders, |pipe| line.producing([pipe, "--key", key]))
}
