//! The answers computed straight from the generator, in whole numbers: no database, no float, none of our own code.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tpchgen::generators::{LineItem, LineItemGenerator, Order, OrderGenerator};

use super::answers::{Answers, Rows};

/// The answers at a scale.
pub(super) fn answers(scale: f64) -> Answers {
    let mut sums = Sums::default();
    let mut lines = LineItemGenerator::new(scale, 1, 1).into_iter().peekable();
    for order in OrderGenerator::new(scale, 1, 1).into_iter() {
        let mut late = false;
        while let Some(line) = lines.next_if(|line| line.l_orderkey == order.o_orderkey) {
            late |= line.l_commitdate < line.l_receiptdate;
            sums.line(&order, &line);
        }
        sums.order(&order, late);
    }
    assert!(lines.next().is_none(), "a line without its order");
    sums.answers()
}

/// A row of Q1. Money in hundredths; each factor of a share adds two places.
#[derive(Debug, Default)]
struct Pricing {
    quantity: i128,
    price: i128,
    /// In ten thousandths.
    discounted: i128,
    /// In millionths.
    charged: i128,
    discount: i128,
    count: i128,
}

#[derive(Debug, Default)]
struct Sums {
    orders: i128,
    total: i128,
    lines: i128,
    price: i128,
    q1: BTreeMap<(String, String), Pricing>,
    q4: BTreeMap<String, i128>,
    /// In ten thousandths.
    q6: i128,
    /// High and low.
    q12: BTreeMap<String, (i128, i128)>,
}

impl Sums {
    fn order(&mut self, order: &Order<'_>, late: bool) {
        self.orders += 1;
        self.total += i128::from(order.o_totalprice.into_inner());
        let ordered = order.o_orderdate.to_unix_epoch();
        if late && (day(1993, 7, 1)..day(1993, 10, 1)).contains(&ordered) {
            *self.q4.entry(order.o_orderpriority.to_owned()).or_default() += 1;
        }
    }

    fn line(&mut self, order: &Order<'_>, line: &LineItem<'_>) {
        let quantity = i128::from(line.l_quantity);
        let price = i128::from(line.l_extendedprice.into_inner());
        let discount = i128::from(line.l_discount.into_inner());
        let tax = i128::from(line.l_tax.into_inner());
        let [shipped, committed, received] =
            [line.l_shipdate, line.l_commitdate, line.l_receiptdate]
                .map(|date| date.to_unix_epoch());
        let year = day(1994, 1, 1)..day(1995, 1, 1);
        self.lines += 1;
        self.price += price;
        if shipped <= day(1998, 12, 1) - 90 {
            let key = (line.l_returnflag.to_owned(), line.l_linestatus.to_owned());
            let row = self.q1.entry(key).or_default();
            row.quantity += quantity * 100;
            row.price += price;
            row.discounted += price * (100 - discount);
            row.charged += price * (100 - discount) * (100 + tax);
            row.discount += discount;
            row.count += 1;
        }
        if year.contains(&shipped) && (5..=7).contains(&discount) && quantity < 24 {
            self.q6 += price * discount;
        }
        let in_time = shipped < committed && committed < received && year.contains(&received);
        if in_time && ["MAIL", "SHIP"].contains(&line.l_shipmode) {
            let (high, low) = self.q12.entry(line.l_shipmode.to_owned()).or_default();
            let urgent = ["1-URGENT", "2-HIGH"].contains(&order.o_orderpriority);
            *(if urgent { high } else { low }) += 1;
        }
    }

    fn answers(self) -> Answers {
        let counted = |count: i128, sum: i128| vec![vec![count.to_string(), places(sum, 2)]];
        let q1 = self.q1.into_iter().map(|((flag, status), row)| row.columns(flag, status));
        let q4 = self.q4.into_iter().map(|(priority, count)| vec![priority, count.to_string()]);
        let q12 = self.q12.into_iter();
        let q12 = q12.map(|(mode, (high, low))| vec![mode, high.to_string(), low.to_string()]);
        let all: [(&str, Rows); 6] = [
            ("orders", counted(self.orders, self.total)),
            ("lineitem", counted(self.lines, self.price)),
            ("q1", q1.collect()),
            ("q4", q4.collect()),
            ("q6", vec![vec![places(self.q6, 4)]]),
            ("q12", q12.collect()),
        ];
        all.into_iter().map(|(query, rows)| (query.to_owned(), rows)).collect()
    }
}

impl Pricing {
    fn columns(&self, flag: String, status: String) -> Vec<String> {
        let average = |sum: i128| places(rounded(sum, self.count), 2);
        vec![
            flag,
            status,
            places(self.quantity, 2),
            places(self.price, 2),
            places(self.discounted, 4),
            places(self.charged, 6),
            average(self.quantity),
            average(self.price),
            average(self.discount),
            self.count.to_string(),
        ]
    }
}

/// Days from 1970 to a date.
fn day(year: i16, month: i8, day: i8) -> i32 {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch.until(jiff::civil::date(year, month, day)).unwrap().get_days()
}

/// The number with so many of its digits after the point.
fn places(unscaled: i128, scale: u32) -> String {
    Decimal::from_i128_with_scale(unscaled, scale).to_string()
}

/// The quotient of numbers that are not negative, its half rounded up.
fn rounded(sum: i128, count: i128) -> i128 {
    (2 * sum + count) / (2 * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_rounded_up_and_less_is_not() {
        assert_eq!([rounded(5, 2), rounded(9, 4), rounded(10, 4), rounded(11, 4)], [3, 2, 3, 3]);
        assert_eq!(places(-5, 2), "-0.05");
    }

    #[test]
    fn days_are_counted_as_the_generator_counts() {
        let first = OrderGenerator::new(0.001, 1, 1).into_iter().next().unwrap();
        assert_eq!(first.o_orderdate.to_string(), "1996-01-02");
        assert_eq!(first.o_orderdate.to_unix_epoch(), day(1996, 1, 2));
        assert_eq!(day(1998, 12, 1) - 90, day(1998, 9, 2));
    }
}
