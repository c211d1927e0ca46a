//! TPC-H through the whole line: generator, Kafka, both pipelines, PostgreSQL, and four of its queries.
//!
//! `make test` takes a small scale, judged by values computed straight from the generator. `make tpch` takes the whole
//! of scale 1 through members that join, leave and are killed, judged by the answers that the specification publishes.

mod answers;
mod bad;
mod load;
mod oracle;
mod whole;

use std::time::Duration;

use answers::judge;
use load::Load;

use crate::support::fresh;

#[test]
fn both_pipelines_fill_their_tables_and_the_queries_answer_as_computed() {
    let load = Load::new(&fresh("tpch"), 0.01);
    load.produce();
    let mut member = load.member();
    let all = load.to_do();
    member.wait_until(Duration::from_secs(120), "all is stored", |_| load.done() == all);
    member.sigterm();
    assert_eq!(member.wait_exit(Duration::from_secs(30)), Some(0), "{}", member.stderr());
    let judged = judge(&oracle::answers(0.01), &load.answers());
    let wrong: Vec<_> = judged.iter().filter(|line| !line.equal).map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((load.lag(), load.on_their_way(), load.dead_letters()), (0, 0, [0, 0]));
}
