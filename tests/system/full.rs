//! The disk under SQLite is full.

use rusqlite::Connection;

use crate::plain::{Line, SOON, wait_state};
use crate::support::Disk;

const RECORDS: i64 = 20_000;

#[test]
fn a_full_disk_under_sqlite_is_waited_for_and_every_record_becomes_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("disk");
    let Some(disk) = Disk::mount(&at, "512k") else { return };
    let path = at.join("orders.sqlite");
    let make = "CREATE TABLE orders (n INTEGER PRIMARY KEY, note TEXT NOT NULL)";
    Connection::open(&path).unwrap().execute_batch(make).unwrap();
    let line = Line::new(3);
    let postgres = format!("postgres: {{ url: \"{}\" }}", line.database.url());
    let line = line.set(&postgres, &format!("sqlite: {{ path: {} }}", path.display()));
    line.orders(0..RECORDS, 3);
    let mut mill = line.run();
    let (status, said) = wait_state(&mut mill, "is full");
    assert_eq!(status, 503, "{said}");
    assert!(said.contains("waiting: "), "{said}");
    let rows = || -> i64 {
        let reader = Connection::open(&path).unwrap();
        reader.query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).unwrap()
    };
    disk.grow("64m");
    mill.wait_until(SOON, "every record is a row", |_| rows() >= RECORDS);
    wait_state(&mut mill, "running");
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());
    let counted = "SELECT count(*) || ' ' || count(DISTINCT n) || ' ' || sum(n) FROM orders";
    let reader = Connection::open(&path).unwrap();
    let counted: String = reader.query_row(counted, [], |row| row.get(0)).unwrap();
    assert_eq!(counted, format!("{RECORDS} {RECORDS} {}", RECORDS * (RECORDS - 1) / 2));
    let committed: i64 = line.committed().values().sum();
    assert_eq!(committed, RECORDS);
}
