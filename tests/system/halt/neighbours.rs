//! A pipeline that halts takes no other down, and the process says so until a person comes.

use crate::plain::{Line, SOON, wait_state};

#[test]
fn a_halted_pipeline_leaves_the_others_at_work_and_the_process_not_ready() {
    let good = Line::new(2);
    let bad = good.beside(1);
    bad.send([(0, Some(bad.value(1, "fine"))), (0, Some(b"broken".to_vec()))]);
    good.orders(0..100, 2);
    let mut mill = bad.files(good.command(&["run"]), "bad").with_http().start();
    let halted = format!("halted at {}[0]@1: poison (frame_magic)", bad.topic);
    let (status, said) = wait_state(&mut mill, &halted);
    assert_eq!(status, 503, "{said}");
    // what comes after the halt
    good.orders(100..200, 2);
    good.wait_rows(&mut mill, 200);
    assert_eq!(mill.get("/livez").0, 200);
    let running = [("pipeline", good.name.as_str()), ("state", "running")];
    mill.wait_until(SOON, "the good one runs", |mill| {
        mill.scrape().value("ordermill_pipeline_state", &running) == Some(1.0)
    });
    let scrape = mill.scrape();
    let state = |name: &str, state: &str| {
        scrape.value("ordermill_pipeline_state", &[("pipeline", name), ("state", state)])
    };
    assert_eq!(state(&bad.name, "halted"), Some(1.0));
    assert_eq!(state(&bad.name, "running"), Some(0.0));
    assert_eq!(state(&good.name, "running"), Some(1.0));
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(1), "{}", mill.stderr());
    assert_eq!(good.committed().values().sum::<i64>(), 200);
    assert_eq!((bad.committed()[&0], bad.count()), (1, 1));
}
