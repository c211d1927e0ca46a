//! Orders at a steady pace, so that there is load while things break.

use tpchgen::generators::{Order, OrderGenerator};

use super::ground::{Line, json_line};
use crate::support::Feed;

const A_SECOND: usize = 2_000;

/// The orders that are fed, one after another until it is enough: more than any law waits for.
pub(super) fn orders() -> impl Iterator<Item = Order<'static>> {
    OrderGenerator::new(1.0, 1, 1).into_iter()
}

/// Begins to put orders into the topic, each under its own key, until `Feed::enough`.
pub(super) fn start(line: &Line<'_>) -> Feed {
    keyed(line, "o_orderkey")
}

/// The same by another field: orders of one key must stay in their order.
pub(super) fn keyed(line: &Line<'_>, key: &str) -> Feed {
    line.register();
    let lines = orders().map(|order| json_line(&order));
    Feed::start(A_SECOND, lines, |pipe| line.producing([pipe, "--key", key]))
}
