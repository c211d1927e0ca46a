//! Records that a step finds out about: driven by random worlds and held against a model that knows how each
//! record ends.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;

/// What becomes of the record at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Effect,
    Reject,
    Drop,
    Poison,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        5 => Just(Fate::Effect),
        3 => Just(Fate::Reject),
        1 => Just(Fate::Drop),
        1 => Just(Fate::Poison),
    ]
}

/// Two records that break a rule at most: a third in a row halts.
fn fates() -> impl Strategy<Value = Vec<Fate>> {
    prop::collection::vec(fate(), 1..60).prop_map(|mut fates| {
        let poison = fates.iter_mut().filter(|fate| **fate == Fate::Poison);
        poison.skip(2).for_each(|fate| *fate = Fate::Effect);
        fates
    })
}

fn ends(fates: &[Fate]) -> BTreeMap<i64, End> {
    let end = |fate: &Fate| match fate {
        Fate::Effect | Fate::Poison => None,
        Fate::Reject => Some(End::Reject("execute changed 0 rows, not 1".into())),
        Fate::Drop => Some(End::Drop("rows".into())),
    };
    (0..).zip(fates).filter_map(|(offset, fate)| Some((offset, end(fate)?))).collect()
}

async fn run(fates: Vec<Fate>, trouble: Vec<Option<Trouble>>) -> Result<(), TestCaseError> {
    let count = fates.len();
    let of = |wanted: Fate| {
        let all = (0..).zip(&fates).filter(move |(_, fate)| **fate == wanted);
        all.map(|(offset, _): (i64, _)| offset).collect::<Vec<_>>()
    };
    let world = World {
        judges: true,
        ends: ends(&fates),
        poison: of(Fate::Poison).into_iter().collect(),
        trouble: StdMutex::new(trouble),
        ..World::default()
    };
    let mut rig = Rig::start(world);
    rig.begin().await;
    let records = orders(count);
    rig.deliver(0, records.clone());
    let end = i64::try_from(count).unwrap();
    let all_done = async {
        while *rig.world.next.lock().unwrap() < end || rig.topic.ledger.counts().in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // Outages take their time; the time here costs none.
    let ended = tokio::time::timeout(Duration::from_secs(3600), all_done).await;
    prop_assert!(ended.is_ok(), "{:?}", rig.topic.ledger.counts());
    let counts = rig.topic.ledger.counts().settled;
    let (world, committed) = rig.drain().await;
    prop_assert_eq!(committed, Some(NextOffset(end)));
    prop_assert_eq!(&*world.done.lock().unwrap(), &of(Fate::Effect));
    // The letters of the store: each once, in order, with the record's own bytes.
    let letters = world.letters.lock().unwrap();
    let at: Vec<i64> = letters.iter().map(|letter| letter.position.offset.0).collect();
    let mut dead = [of(Fate::Reject), of(Fate::Poison)].concat();
    dead.sort_unstable();
    prop_assert_eq!(&at, &dead);
    for letter in &*letters {
        let record = &records[usize::try_from(letter.position.offset.0).unwrap()];
        prop_assert_eq!(&letter.record, record);
    }
    // And the ledger says the same.
    let len = |fate| of(fate).len() as u64;
    prop_assert_eq!(counts.effects, len(Fate::Effect));
    prop_assert_eq!(counts.rows, len(Fate::Effect));
    prop_assert_eq!(counts.dropped.values().sum::<u64>(), len(Fate::Drop));
    prop_assert_eq!(counts.dead_lettered.get("rejected").copied().unwrap_or(0), len(Fate::Reject));
    prop_assert_eq!(
        counts.dead_lettered.get("unique_violation").copied().unwrap_or(0),
        len(Fate::Poison)
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever goes wrong on the way: outages, conflicts, commits that nobody heard of, refused records beside.
    #[test]
    fn each_record_ends_once_as_the_step_says(
        fates in fates(),
        trouble in prop::collection::vec(prop::option::weighted(0.3, prop_oneof![
            Just(Trouble::Away), Just(Trouble::Conflict), Just(Trouble::Unheard)]), 0..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(fates, trouble))?;
    }
}

#[tokio::test(start_paused = true)]
async fn rejections_of_the_business_never_halt() {
    let fates = vec![Fate::Reject; 100];
    run(fates, Vec::new()).await.unwrap();
}
