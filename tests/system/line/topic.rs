//! Orders into another topic: judged by public clients, which read all of it, and by the generator.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use super::feed;
use super::ground::{Line, PARTITIONS};
use super::member::Member;
use crate::support::firsts;

const LIMIT: Duration = Duration::from_secs(120);
/// Orders that one clerk took keep their order.
const KEY: &str = "o_clerk";

#[test]
fn two_kills_lose_no_record_and_leave_their_order() {
    kill(2);
}

/// Two members write what comes in; again and again one of them is killed with work in its hands, and another comes.
///
/// Counts only if records were delivered again because of them.
pub(super) fn kill(kills: usize) {
    let line = Line::new();
    let output = line.output();
    let sink = format!("{{ topic: {{ topic: {output}, timeout: 3s, batch: {{ rows: 50 }} }} }}");
    let member = || line.member_into(&sink, "{ drain: 4s }");
    let feed = feed::keyed(&line, KEY);
    let mut consumed = 0;
    let mut old = member();
    old.wait_for_work();
    for _ in 0..kills {
        let mut new = member();
        new.wait_for_work();
        old.wait_for_work();
        consumed += old.kill();
        old = new;
    }
    let orders = feed.enough(0, LIMIT);
    wait_until_all_is_written(&mut old);
    consumed += old.consumed();
    assert!(consumed > orders as u64, "{consumed} of {orders}: nothing came twice");
    old.leave();
    line.assert_settled(orders as u64);
    let repeats = assert_whole(&line, &output, orders);
    let said = format!("{kills} kills: {orders} orders, {repeats} records repeated\n");
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}

fn wait_until_all_is_written(member: &mut Member) {
    member.wait_until(LIMIT, "nothing is left to write", |member| {
        member.lag(PARTITIONS) == Some(0) && member.in_flight() == 0
    });
}

/// Every order that was made is there, as it was made, and its clerk's orders first appeared as they were made; how many
/// came again.
#[track_caller]
fn assert_whole(line: &Line<'_>, output: &str, orders: usize) -> usize {
    let written = line.written(output);
    let (firsts, repeats) = firsts(&written);
    let there: BTreeMap<&str, Vec<(i64, &str)>> = firsts
        .iter()
        .map(|(key, records)| {
            let order = |event: &'_ serde_json::Value| event["o_orderkey"].as_i64().unwrap();
            let orders = records.iter().map(|record| {
                (order(&record.event), record.event["o_totalprice"].as_str().unwrap())
            });
            (key.as_str(), orders.collect())
        })
        .collect();
    let mut made: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for order in feed::orders().take(orders) {
        let price = order.o_totalprice.to_string();
        made.entry(order.o_clerk.to_string()).or_default().push((order.o_orderkey, price));
    }
    assert_eq!(there.len(), made.len(), "clerks");
    for (clerk, orders) in &made {
        let orders: Vec<_> = orders.iter().map(|(key, price)| (*key, price.as_str())).collect();
        assert_eq!(there.get(clerk.as_str()), Some(&orders), "{clerk}");
    }
    repeats
}
