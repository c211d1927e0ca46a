//! The ledger: what went in against what came out, each counted outside the engine. Pure: counts in, verdict out.

use serde_json::{Value, json};

use super::orders::PIECES_MAX;

/// One pipeline's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its name.
    pub(super) pipeline: &'static str,
    /// Records in its topic.
    pub(super) records: u64,
    /// What came of them.
    pub(super) effects: u64,
    /// What the effects were counted by.
    pub(super) counted: String,
    /// Records that its file drops: as many were made.
    pub(super) dropped: u64,
    /// Records in its dead-letter topic.
    pub(super) dead_letters: u64,
    /// Spoilt records that must be among those.
    pub(super) spoilt: u64,
    /// May a good order end there too?
    pub(super) rejects: bool,
}

impl Line {
    /// Is every record in exactly one place, and every spoilt one where it belongs?
    pub(super) fn balances(&self) -> bool {
        let buried = match self.rejects {
            true => self.dead_letters >= self.spoilt,
            false => self.dead_letters == self.spoilt,
        };
        buried && self.records == self.effects + self.dropped + self.dead_letters
    }
}

/// One product's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Product {
    /// Pieces at the beginning.
    pub(super) stock: i64,
    /// Pieces of all good orders.
    pub(super) asked: i64,
    /// Pieces that moved, by the database's own rows.
    pub(super) moved: i64,
    /// Pieces that are left.
    pub(super) left: i64,
}

impl Product {
    /// Was each order served once, and none that could have been turned away?
    pub(super) fn is_right(&self) -> bool {
        let served = match self.is_sold_out() {
            false => self.moved == self.asked,
            // The last order that was turned away asked for more than is left.
            true => (0..PIECES_MAX).contains(&self.left),
        };
        served && self.left == self.stock - self.moved
    }

    /// Was more asked for than there was?
    pub(super) fn is_sold_out(&self) -> bool {
        self.asked > self.stock
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ledger {
    /// Records that were made.
    pub(super) made: u64,
    /// The four pipelines.
    pub(super) lines: Vec<Line>,
    /// Every product.
    pub(super) products: Vec<Product>,
}

impl Ledger {
    /// Does everything balance?
    pub(super) fn balances(&self) -> bool {
        self.lines.iter().all(|line| line.records == self.made && line.balances())
            && self.products.iter().all(Product::is_right)
    }

    /// What is not right, for a person.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for line in &self.lines {
            if line.records != self.made {
                wrong.push(format!(
                    "{}: {} records stand in its topic and {} were made",
                    line.pipeline, line.records, self.made
                ));
            }
            if !line.balances() {
                wrong.push(format!(
                    "{}: {} in, but {} effects + {} dropped + {} dead letters ({} are spoilt)",
                    line.pipeline,
                    line.records,
                    line.effects,
                    line.dropped,
                    line.dead_letters,
                    line.spoilt
                ));
            }
        }
        let products = self.products.iter().filter(|product| !product.is_right()).count();
        if products > 0 {
            wrong.push(format!("stock: {products} products are not as their orders say"));
        }
        wrong
    }

    /// For a program.
    pub(super) fn json(&self, seconds: f64) -> Value {
        let lines = self.lines.iter().map(|line| {
            json!({
                "pipeline": line.pipeline, "in": line.records, "effects": line.effects,
                "counted": line.counted, "dropped": line.dropped,
                "dead_letters": line.dead_letters, "balanced": line.balances(),
            })
        });
        json!({
            "orders": self.made,
            "pipelines": lines.collect::<Vec<_>>(),
            "stock": {
                "products": self.products.len(), "asked": self.pieces(|p| p.asked),
                "moved": self.pieces(|p| p.moved), "sold_out": self.sold_out(),
                "balanced": self.products.iter().all(Product::is_right),
            },
            "seconds": seconds,
            "balanced": self.balances(),
        })
    }

    /// Pieces of all products.
    pub(super) fn pieces(&self, of: impl Fn(&Product) -> i64) -> i64 {
        self.products.iter().map(of).sum()
    }

    /// Products of which more was asked for than there was.
    pub(super) fn sold_out(&self) -> usize {
        self.products.iter().filter(|product| product.is_sold_out()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rejects: bool) -> Line {
        Line {
            pipeline: "inventory",
            records: 100,
            effects: 90,
            counted: "rows".to_owned(),
            dropped: 3,
            dead_letters: 7,
            spoilt: if rejects { 5 } else { 7 },
            rejects,
        }
    }

    fn ledger() -> Ledger {
        let plenty = Product { stock: 1_000, asked: 80, moved: 80, left: 920 };
        let scarce = Product { stock: 60, asked: 80, moved: 50, left: 10 };
        Ledger { made: 100, lines: vec![line(true), line(false)], products: vec![plenty, scarce] }
    }

    #[test]
    fn a_ledger_with_every_record_in_one_place_balances() {
        let right = ledger();
        assert_eq!((right.balances(), right.wrong()), (true, vec![]));
        assert_eq!(right.json(1.0)["balanced"], json!(true));
        assert_eq!(right.json(1.0)["stock"]["sold_out"], json!(1));
    }

    /// Each count one too many or one too few, alone.
    #[test]
    fn a_spoiled_ledger_is_caught_whichever_count_is_off_by_one() {
        type Spoil = fn(&mut Ledger, i64);
        fn by(count: &mut u64, off: i64) {
            *count = count.checked_add_signed(off).unwrap();
        }
        let counts: [(&str, Spoil); 11] = [
            ("made", |l, off| by(&mut l.made, off)),
            ("records", |l, off| by(&mut l.lines[1].records, off)),
            ("effects", |l, off| by(&mut l.lines[0].effects, off)),
            ("dropped", |l, off| by(&mut l.lines[0].dropped, off)),
            ("dead letters", |l, off| by(&mut l.lines[0].dead_letters, off)),
            ("a good order among the dead letters", |l, off| by(&mut l.lines[1].spoilt, off)),
            ("moved", |l, off| l.products[0].moved += off),
            ("left", |l, off| l.products[0].left += off),
            ("moved of what sold out", |l, off| l.products[1].moved += off),
            ("left of what sold out", |l, off| l.products[1].left += off),
            ("asked", |l, off| l.products[0].asked += off),
        ];
        for (count, spoil) in counts {
            for off in [-1, 1] {
                let mut spoiled = ledger();
                spoil(&mut spoiled, off);
                assert!(!spoiled.balances(), "{count} off by {off}");
                assert!(!spoiled.wrong().is_empty(), "{count} off by {off}");
                assert_eq!(spoiled.json(1.0)["balanced"], json!(false), "{count} off by {off}");
            }
        }
    }

    /// An effect too many hides no record that is missing elsewhere.
    #[test]
    fn a_good_order_may_only_be_turned_away_where_the_file_says_so() {
        let mut spoiled = ledger();
        spoiled.lines[1].effects -= 1;
        spoiled.lines[1].dead_letters += 1;
        assert!(!spoiled.balances());
        let mut allowed = ledger();
        allowed.lines[0].effects -= 1;
        allowed.lines[0].dead_letters += 1;
        assert!(allowed.balances());
        allowed.products[1] = Product { stock: 60, asked: 80, moved: 10, left: 50 };
        assert!(!allowed.balances(), "fifty pieces were left, and somebody was turned away");
    }
}
