//! A process that drains is not ready, at once.

use crate::plain::{Line, SOON, wait_state};
use crate::stop::stalled;
use crate::support::Lock;

#[test]
fn a_draining_process_is_alive_and_not_ready() {
    let line = Line::new(1);
    let mut mill = line.run();
    wait_state(&mut mill, "running");
    let lock = Lock::on(&line.database, "orders");
    line.orders(0..10, 1);
    stalled(&line, &mut mill);
    assert!(!mill.get("/readyz").1.contains("draining"));
    mill.sigterm();
    mill.wait_until(SOON, "it is not ready any more", |mill| {
        let (status, said) = mill.get("/readyz");
        status == 503 && said.contains("draining")
    });
    assert_eq!(mill.get("/livez").0, 200);
    drop(lock);
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());
    // the step that had begun was let finish
    assert_eq!(line.count(), line.committed()[&0]);
    assert!(line.count() > 0);
}
