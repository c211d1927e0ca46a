//! The nearest known word to one that was mistyped.

/// The candidate with the fewest edits from `word`, if they are few enough to be a slip: a third of
/// its letters, at least one. Letter case counts half.
pub fn nearest<'c>(word: &str, known: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = 2 * (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Twice the edit distance (two neighbours exchanged are one edit), a changed letter case once; long words
/// are cut.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![(0..=b.len()).map(|i| 2 * i).collect::<Vec<usize>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![2 * (i + 1)];
        for (j, y) in b.iter().enumerate() {
            let change = match () {
                () if x == y => 0,
                () if x.eq_ignore_ascii_case(y) => 1,
                () => 2,
            };
            let mut best = (rows[i][j] + change).min(rows[i][j + 1] + 2).min(row[j] + 2);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(rows[i - 1][j - 1] + 2);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_none() {
        let known = ["quantity", "price", "product_name"];
        assert_eq!(nearest("quantty", known), Some("quantity"));
        assert_eq!(nearest("Price", known), Some("price"));
        assert_eq!(nearest("productName", known), Some("product_name"));
        assert_eq!(nearest("pirce", known), Some("price"));
        assert_eq!(nearest("customer", known), None);
        assert_eq!(nearest("", known), None);
    }
}
