//! A schema that the registry does not know (yet) is waited for at its record.

use crate::plain::{Line, SOON, wait_state};

#[test]
fn a_record_of_an_unknown_schema_is_waited_for_and_stays_unsettled() {
    let line = Line::new(1);
    let mut unknown = line.value(3, "from elsewhere");
    unknown[1..5].copy_from_slice(&2_000_000_123_u32.to_be_bytes());
    line.orders(0..3, 1);
    line.send([(0, Some(unknown)), (0, Some(line.value(4, "behind it")))]);
    let mut mill = line.run();
    let (status, said) = wait_state(&mut mill, "2000000123");
    assert_eq!(status, 503, "{said}");
    assert!(said.contains("waiting") && said.contains("registry"), "{said}");
    line.wait_rows(&mut mill, 3);
    assert_eq!(mill.get("/livez").0, 200);
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());
    assert_eq!(line.rows(), [0, 1, 2]);
    assert_eq!(line.committed()[&0], 3);
}
