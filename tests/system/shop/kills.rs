//! Processes that run all pipelines are killed under load.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::time::Duration;

use super::ground::{IN_FLIGHT, PARTITIONS, PIPELINES, Shop};
use super::member::Member;
use crate::support::{Services, Taken, unix_now};

const LIMIT: Duration = Duration::from_secs(180);
/// Nobody takes a dead member's partitions before its session has ended; until then nothing can come again.
const SETTLED: f64 = 1.0;

#[test]
fn two_kills_cost_no_order_and_repeat_only_the_mails_under_way() {
    kill(1_000, 100, 2, 2);
}

/// `members` work on so many orders or more; again and again the oldest of them is killed with a mail under way, and another comes.
///
/// Orders come until the last kill. Counts only if every pipeline was given records again because of them.
pub(super) fn kill(orders: usize, a_second: usize, members: usize, kills: usize) {
    let services = Services::get();
    let shop = Shop::over(&services.kafka, &services.registry, &services.postgres);
    let feed = shop.feed(a_second);
    let mut members: VecDeque<Member> = (0..members).map(|_| shop.member()).collect();
    let mut taken: BTreeMap<&str, u64> = BTreeMap::new();
    let mut times = Vec::new();
    for _ in 0..kills {
        members.iter_mut().for_each(Member::wait_for_work);
        let victim = members.pop_front().unwrap();
        add(&mut taken, victim.kill());
        times.push(unix_now());
        members.push_back(shop.member());
    }
    let orders = feed.enough(orders, LIMIT) as u64;
    let end = std::time::Instant::now() + LIMIT;
    while !Member::are_done(members.make_contiguous(), PARTITIONS as usize) {
        let late = std::time::Instant::now() > end;
        let seen = members.iter_mut().map(|member| (member.lag(), member.states()));
        assert!(!late, "in vain until all is done: {:?}", seen.collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(100));
    }
    for mut member in members {
        add(&mut taken, member.taken());
        member.leave();
    }
    // the killed ones' last scrape is a moment old: not every pipeline shows what it was given again
    let twice = PIPELINES.iter().any(|pipeline| taken[*pipeline] > orders);
    assert!(twice, "{taken:?} of {orders}: nothing came twice");
    let (mails, outputs) = shop.assert_whole(orders);
    let mails = assert_bounded(&mails, &times);
    let said = format!(
        "{kills} kills, {orders} orders: mails repeated by kill (repeats, at most): {mails:?}; \
         output records repeated: {outputs}\n"
    );
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}

/// Each kill repeats at most the mails that were under way and those taken in the second before it. How many each did, and
/// how many it might have.
#[track_caller]
fn assert_bounded(mails: &[Taken], kills: &[f64]) -> Vec<(usize, usize)> {
    let mut repeats = vec![0; kills.len()];
    let mut before: BTreeMap<&str, f64> = BTreeMap::new();
    for mail in mails {
        let Some(last) = before.insert(&mail.id, mail.at) else { continue };
        // the kill that made it come again is the first after it was taken
        let cause = kills.iter().position(|kill| last < kill + SETTLED);
        let cause = cause.filter(|kill| kills[*kill] + SETTLED < mail.at);
        repeats[cause.unwrap_or_else(|| panic!("no kill made it come again: {mail:?}"))] += 1;
    }
    let bounded = |(kill, repeats): (&f64, usize)| {
        let second = mails.iter().filter(|mail| (kill - 1.0..=*kill).contains(&mail.at)).count();
        let most = IN_FLIGHT + second;
        assert!(repeats <= most, "{repeats} mails came again, and {most} may: kills {kills:?}");
        (repeats, most)
    };
    kills.iter().zip(repeats).map(bounded).collect()
}

fn add(sum: &mut BTreeMap<&'static str, u64>, more: BTreeMap<&'static str, u64>) {
    for (pipeline, more) in more {
        *sum.entry(pipeline).or_default() += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(at: f64, id: &str) -> Taken {
        Taken { at, to: Vec::new(), id: id.to_owned(), raw: String::new() }
    }

    #[test]
    fn a_repeat_belongs_to_the_first_kill_after_it_was_taken() {
        let mails = [mail(99.5, "a"), mail(100.2, "b"), mail(107.0, "a"), mail(107.0, "b")];
        assert_eq!(assert_bounded(&mails, &[100.0, 120.0]), [(2, IN_FLIGHT + 1), (0, IN_FLIGHT)]);
    }

    #[test]
    #[should_panic(expected = "no kill made it come again")]
    fn a_repeat_without_a_kill_is_refused() {
        assert_bounded(&[mail(10.0, "a"), mail(11.0, "a")], &[100.0]);
    }

    #[test]
    #[should_panic(expected = "mails came again")]
    fn more_repeats_than_were_under_way_are_refused() {
        let mails = (0..60).map(|n| mail([50.0, 110.0][n / 30], &(n % 30).to_string()));
        assert_bounded(&mails.collect::<Vec<_>>(), &[100.0]);
    }
}
