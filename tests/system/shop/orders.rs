//! Orders that are the same in every run, and what must become of each.

use std::collections::BTreeMap;

/// How many products there are: the record's key, so that each has many orders in their order.
pub(super) const PRODUCTS: u64 = 500;
/// Of every hundredth product there is little.
const SCARCE: u64 = 100;
/// For five orders of most.
const LITTLE: u64 = 20;
const PLENTY: u64 = 1_000_000;

/// The `n`-th order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order(pub(super) u64);

impl Order {
    /// All of the first so many.
    pub(super) fn first(count: u64) -> impl Iterator<Item = Self> {
        (0..count).map(Self)
    }

    /// One after the other without an end.
    pub(super) fn all() -> impl Iterator<Item = Self> + Send + 'static {
        (0..).map(Self)
    }

    pub(super) fn id(self) -> String {
        format!("0190a1b2-0000-7000-8000-{:012x}", self.0)
    }

    pub(super) fn product(self) -> String {
        product(self.0 % PRODUCTS)
    }

    /// The same for all orders of a product, so that what is left of it does not depend on their order.
    pub(super) fn quantity(self) -> u64 {
        1 + self.0 % PRODUCTS % 7
    }

    /// As `produce` reads it: a line of JSON.
    pub(super) fn line(self) -> String {
        let event = serde_json::json!({
            "order_id": self.id(),
            "product_name": self.product(),
            "quantity": self.quantity(),
            "created_at": "2026-01-05T10:00:00Z",
        });
        format!("{event}\n")
    }
}

fn product(number: u64) -> String {
    format!("product-{number}")
}

/// The stock that each product begins with: `(product, pieces)`.
pub(super) fn stock() -> impl Iterator<Item = (String, u64)> {
    let pieces = |number| if number % SCARCE == 0 { LITTLE } else { PLENTY };
    (0..PRODUCTS).map(move |number| (product(number), pieces(number)))
}

/// What must be left of each product after so many orders, and how many of them found too little.
pub(super) fn left(orders: u64) -> (BTreeMap<String, u64>, u64) {
    let mut refused = 0;
    let mut left: BTreeMap<String, u64> = stock().collect();
    for order in Order::first(orders) {
        let left = left.get_mut(&order.product()).unwrap();
        match left.checked_sub(order.quantity()) {
            Some(rest) => *left = rest,
            None => refused += 1,
        }
    }
    (left, refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scarce_product_is_sold_out_and_the_others_are_not() {
        let orders = 50 * PRODUCTS;
        let (left, refused) = left(orders);
        assert!(left["product-0"] < Order(0).quantity());
        assert_eq!(left["product-1"], PLENTY - 50 * Order(1).quantity());
        assert!(refused > 0 && refused < 250, "{refused}");
    }
}
