//! The queries, their answers, and whether two answers are the same.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr as _;

use rust_decimal::Decimal;

/// Rows of columns, as psql prints them.
pub(super) type Rows = Vec<Vec<String>>;

/// Rows by the name of their query.
pub(super) type Answers = BTreeMap<String, Rows>;

/// The names of the queries, in the order in which they are judged, and their text.
pub(super) const QUERIES: [(&str, &str); 6] = [
    ("orders", include_str!("../../tpch/orders.sql")),
    ("lineitem", include_str!("../../tpch/lineitem.sql")),
    ("q1", include_str!("../../tpch/q1.sql")),
    ("q4", include_str!("../../tpch/q4.sql")),
    ("q6", include_str!("../../tpch/q6.sql")),
    ("q12", include_str!("../../tpch/q12.sql")),
];

/// What the specification publishes for scale 1.
pub(super) fn published() -> Answers {
    let mut answers = Answers::new();
    let mut query = None;
    for line in include_str!("../../tpch/answers-1.txt").lines() {
        if line.starts_with('#') {
            continue;
        }
        if QUERIES.iter().any(|(name, _)| *name == line) {
            query = Some(answers.entry(line.to_owned()).or_default());
        } else {
            let rows = query.as_mut().unwrap();
            rows.push(line.split('|').map(str::to_owned).collect());
        }
    }
    answers
}

/// One query's verdict; as text one line.
#[derive(Debug)]
pub(super) struct Judged {
    query: &'static str,
    expected: Rows,
    got: Rows,
    pub(super) equal: bool,
}

/// Judges every query.
pub(super) fn judge(expected: &Answers, got: &Answers) -> Vec<Judged> {
    let of = |query: &'static str| {
        let (expected, got) = (expected[query].clone(), got[query].clone());
        Judged { query, equal: same(&expected, &got), expected, got }
    };
    QUERIES.iter().map(|(query, _)| of(query)).collect()
}

/// Numbers are compared as decimals, everything else as text.
fn same(left: &Rows, right: &Rows) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| same_value(left, right))
        })
}

fn same_value(left: &str, right: &str) -> bool {
    match (Decimal::from_str(left), Decimal::from_str(right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            |rows: &Rows| rows.iter().map(|row| row.join("|")).collect::<Vec<_>>().join("; ");
        let verdict = if self.equal { "equal" } else { "DIFFERENT" };
        let (expected, got) = (text(&self.expected), text(&self.got));
        write!(f, "{}: expected {expected}, got {got}, {verdict}", self.query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(q6: &str) -> Answers {
        let mut answers = published();
        answers.insert("q6".to_owned(), vec![vec![q6.to_owned()]]);
        answers
    }

    #[test]
    fn one_unit_in_the_last_place_is_a_difference_and_zeros_are_none() {
        let verdict = |got: &str| {
            let judged = judge(&published(), &answers(got));
            assert_eq!(judged.iter().filter(|line| line.query != "q6" && !line.equal).count(), 0);
            judged.into_iter().find(|line| line.query == "q6").unwrap()
        };
        assert!(verdict("123141078.228300").equal);
        assert!(!verdict("123141078.2284").equal);
        assert!(!verdict("").equal);
        let line = "q6: expected 123141078.2283, got 123141078.2282, DIFFERENT";
        assert_eq!(verdict("123141078.2282").to_string(), line);
    }

    #[test]
    fn a_row_or_a_column_more_is_a_difference() {
        let mut more = published();
        more.get_mut("q4").unwrap().push(vec!["6-NEVER".to_owned(), "1".to_owned()]);
        more.get_mut("q12").unwrap()[0].push("1".to_owned());
        let wrong: Vec<_> = judge(&published(), &more)
            .into_iter()
            .filter(|line| !line.equal)
            .map(|line| line.query)
            .collect();
        assert_eq!(wrong, ["q4", "q12"]);
    }

    #[test]
    fn every_query_has_its_published_answer() {
        let rows = published().into_values().map(|rows| rows.len()).sum::<usize>();
        assert_eq!((published().len(), rows), (QUERIES.len(), 1 + 1 + 4 + 5 + 1 + 2));
    }
}
