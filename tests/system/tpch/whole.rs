//! `make tpch`: the whole load through members that join, leave and are killed, judged by the published answers.

use std::env;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use super::answers::{judge, published};
use super::load::Load;
use super::oracle;
use crate::support::{Process, wait_until};

/// How long the load may stand still: a killed member's partitions are free after its session.
const STILL_MAX: Duration = Duration::from_secs(90);
/// How long a member may take until it works: it may have to wait for a killed one's session.
const WORKING_WITHIN: Duration = Duration::from_secs(90);
/// Far above what scale 1 takes on a slow machine.
const LOADED_WITHIN: Duration = Duration::from_secs(4 * 3600);
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What happens when so many percent are done. `Left` and `Right` join and leave, `Victim` is killed.
///
/// Never more than two at once: what a killed member leaves behind waits for its session's end and then goes to the
/// one that started in its place, so that there is work for the next kill however fast the other one is.
const PLAN: [(i64, Step); 11] = [
    (0, Step::Join(Who::Victim)),
    (5, Step::Kill(Who::Victim)),
    (10, Step::Join(Who::Left)),
    (20, Step::Kill(Who::Victim)),
    (30, Step::Leave(Who::Left)),
    (35, Step::Kill(Who::Victim)),
    (45, Step::Join(Who::Right)),
    (55, Step::Kill(Who::Victim)),
    (65, Step::Leave(Who::Right)),
    (70, Step::Kill(Who::Victim)),
    (80, Step::Join(Who::Left)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Victim,
    Left,
    Right,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Join(Who),
    /// Asked to stop: drains, commits and ends well.
    Leave(Who),
    /// Killed while it works, and started again.
    Kill(Who),
}

#[test]
#[ignore = "long: make tpch"]
fn the_whole_load_gives_the_published_answers() {
    let scale: f64 = env::var("SCALE").map_or(1.0, |scale| scale.parse().unwrap());
    let load = Load::new("tpch.orders", scale);
    let mut run = Run::new(&load);
    load.produce();
    run.to_do = load.to_do();
    run.say(&format!("scale {scale}: {} orders are in the topic", run.to_do / 2));
    let produced = run.began.elapsed();
    for (percent, step) in PLAN {
        run.reach(run.to_do * percent / 100);
        run.take(step);
    }
    run.reach(run.to_do);
    let seconds = (run.began.elapsed() - produced).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate to be read")]
    let rate = run.to_do as f64 / 2.0 / seconds;
    run.say(&format!("all is stored: {seconds:.0} s, {rate:.0} orders/s through both pipelines"));
    run.end();

    let computed = oracle::answers(scale);
    let expected = if scale == 1.0 { published() } else { computed.clone() };
    let judged = judge(&expected, &load.answers());
    let dead = load.on_their_way() + load.dead_letters().iter().sum::<i64>();
    let lag = load.lag();
    let mut right =
        dead == 0 && lag == 0 && judge(&expected, &computed).iter().all(|line| line.equal);
    for line in &judged {
        say(&line.to_string());
        right &= line.equal;
    }
    say(&format!("dead letters: expected 0, got {dead}; lag: expected 0, got {lag}"));
    assert!(right, "the load is not what it must be");
}

/// A load under way and its members.
#[derive(Debug)]
struct Run<'l> {
    load: &'l Load,
    members: Vec<(Who, Process)>,
    began: Instant,
    said: Instant,
    to_do: i64,
    done: i64,
    kills: usize,
}

impl<'l> Run<'l> {
    fn new(load: &'l Load) -> Self {
        let now = Instant::now();
        Self { load, members: Vec::new(), began: now, said: now, to_do: 0, done: 0, kills: 0 }
    }

    /// Waits until so many records are done. Panics when a member ends by itself or nothing moves.
    fn reach(&mut self, wanted: i64) {
        let mut moved = Instant::now();
        wait_until(LOADED_WITHIN, "so much is done", || {
            let done = self.load.done();
            assert!(done <= self.to_do, "{done} of {} are done", self.to_do);
            if done > self.done {
                (self.done, moved) = (done, Instant::now());
            }
            for (who, member) in &mut self.members {
                let ended = member.exit();
                assert!(ended.is_none(), "{who:?} ended ({ended:?}):\n{}", member.stderr());
            }
            assert!(moved.elapsed() < STILL_MAX, "nothing moves at {done} of {}", self.to_do);
            if self.said.elapsed() >= SAY_EVERY {
                self.say("");
            }
            done >= wanted
        });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Join(who) => {
                self.members.push((who, self.load.member()));
                self.say(&format!("{who:?} joins"));
            }
            Step::Leave(who) => {
                let mut member = self.out(who, "ordermill_consumer_assigned_partitions");
                member.sigterm();
                let exit = member.wait_exit(Duration::from_secs(30));
                assert_eq!(exit, Some(0), "{}", member.stderr());
                self.say(&format!("{who:?} has left"));
            }
            Step::Kill(who) => {
                let mut member = self.out(who, "ordermill_records_effected_total");
                member.kill9();
                self.kills += 1;
                self.done = self.load.done();
                assert!(self.done < self.to_do, "the kill came after the end");
                self.say(&format!("{who:?} was killed, time {}, and starts again", self.kills));
                self.members.push((who, self.load.member()));
            }
        }
    }

    /// Takes the member out of the run as soon as this metric of it is above 0: it holds partitions, it has stored
    /// something.
    fn out(&mut self, who: Who, metric: &str) -> Process {
        let at = self.members.iter().position(|(is, _)| *is == who).unwrap();
        let (_, mut member) = self.members.remove(at);
        member.wait_until(WORKING_WITHIN, metric, |member| member.scrape().sum(metric, &[]) > 0.0);
        member
    }

    /// Ends all members well.
    fn end(&mut self) {
        for (who, member) in &mut self.members {
            member.sigterm();
            let exit = member.wait_exit(Duration::from_secs(30));
            assert_eq!(exit, Some(0), "{who:?}: {}", member.stderr());
        }
        assert_eq!(self.kills, 5);
    }

    fn say(&mut self, what: &str) {
        self.said = Instant::now();
        let percent = (self.done * 100).checked_div(self.to_do).unwrap_or(0);
        say(&format!("{:6.1} s {percent:3} % {what}", self.began.elapsed().as_secs_f64()));
    }
}

/// A line of the report, past the harness's capture.
pub(super) fn say(line: &str) {
    writeln!(io::stdout(), "{line}").unwrap();
}
