//! The reference system with the figures that the project is judged by: `make system`.

use super::kills;

#[test]
#[ignore = "long: make system"]
fn five_kills_cost_no_order_of_twenty_thousand_and_repeat_only_the_mails_under_way() {
    kills::kill(20_000, 250, 3, 5);
}
