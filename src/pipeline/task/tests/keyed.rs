//! The task of a keyed sink: order per key, many keys at once, and every record in one place at its end.

use super::*;
use crate::engine::ahead::Ahead;
use crate::engine::offsets::Run;
use crate::pipeline::effect::Keyed;
use crate::port::KeyedSink;
use crate::record::Class;

impl KeyedSink for World {
    fn bind(&self) -> Future<'_, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        Ok(Box::new(Nothing))
    }

    fn effect<'a>(&'a self, effect: &'a [u8]) -> Future<'a, Result<(), Fault>> {
        Box::pin(async move {
            let (offset, key) = effect.split_at(8);
            let offset = i64::from_be_bytes(offset.try_into().unwrap());
            assert!(self.busy.lock().unwrap().insert(key.to_vec()), "two records of a key at once");
            let under_way = self.busy.lock().unwrap().len();
            {
                let mut most = self.most.lock().unwrap();
                *most = under_way.max(*most);
            }
            tokio::time::sleep(Duration::from_millis(u64::try_from(offset * 7 % 13).unwrap()))
                .await;
            self.busy.lock().unwrap().remove(key);
            let mut away = self.away.lock().unwrap();
            if *away > 0 {
                *away -= 1;
                return Err(Fault::unavailable("test", "the receiver is away"));
            }
            if let Some(left) = self.fails.lock().unwrap().get_mut(&offset)
                && *left > 0
            {
                *left -= 1;
                return Err(Fault::new(Class::Retryable, "test", "not now"));
            }
            if self.refuses == Some(offset) {
                return Err(Fault::poison("mailbox", "there is no such mailbox"));
            }
            self.done.lock().unwrap().push(offset);
            Ok(())
        })
    }
}

fn rig(world: World, then: Then) -> Rig {
    Rig::start_with(world, |sink| Effect::Keyed(Keyed { sink, in_flight: 8, state: None }), then)
}

/// Records of `keys` keys, one after another.
fn keyed(count: usize, keys: usize) -> Vec<OwnedRecord> {
    let mut records = orders(count);
    for (i, record) in records.iter_mut().enumerate() {
        record.key = Some(format!("key {}", i % keys).into_bytes());
    }
    records
}

fn sorted(done: &StdMutex<Vec<i64>>) -> Vec<i64> {
    let mut done = done.lock().unwrap().clone();
    done.sort_unstable();
    done
}

fn in_order_per_key(done: &StdMutex<Vec<i64>>, keys: i64) {
    let done = done.lock().unwrap();
    for key in 0..keys {
        assert!(done.iter().filter(|o| **o % keys == key).is_sorted(), "key {key}: {done:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_a_key_go_one_after_another_and_many_keys_at_once() {
    let mut rig = rig(World::default(), Then::Stop);
    rig.begin().await;
    rig.deliver(0, keyed(200, 20));
    rig.until_done(200).await;
    let topic = Arc::clone(&rig.topic);
    let (world, committed) = rig.drain().await;
    in_order_per_key(&world.done, 20);
    assert_eq!(sorted(&world.done), offsets(0..200));
    assert_eq!(committed, Some(NextOffset(200)));
    assert_eq!(*world.most.lock().unwrap(), 8, "as many as may be in flight");
    assert_eq!(topic.ledger.counts().settled.effects, 200);
}

#[tokio::test(start_paused = true)]
async fn what_comes_between_a_generation_and_its_next_claim_is_given_back_and_not_worked() {
    let claims_for = Duration::from_millis(100);
    let mut rig = rig(World { claims_for, ..World::default() }, Then::Stop);
    rig.begin().await;
    rig.deliver(0, keyed(10, 10));
    rig.until_done(10).await;
    // it comes again: claimed anew, and until then nobody knows where it stands
    rig.deliver(8, keyed(10, 10));
    let bad = OwnedRecord { value: Some(vec![9]), ..OwnedRecord::default() };
    rig.deliver(20, vec![bad; 5]);
    assert_eq!(rig.begin().await, NextOffset(0));
    assert_eq!(rig.world.sent.lock().unwrap().len(), 0, "nobody has claimed them");
    rig.deliver(0, keyed(30, 10));
    rig.until_done(40).await;
    let topic = Arc::clone(&rig.topic);
    let (_, committed) = rig.drain().await;
    assert_eq!(committed, Some(NextOffset(30)));
    assert_eq!(topic.ledger.counts().given_back, 15);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_for_a_while_keeps_its_place_and_holds_no_other_key() {
    let fails = StdMutex::new(BTreeMap::from([(3, 2), (50, 1), (53, 2)]));
    let mut rig = rig(World { fails, ..World::default() }, Then::Stop);
    rig.begin().await;
    rig.deliver(0, keyed(100, 10));
    rig.until_done(100).await;
    let (world, _) = rig.drain().await;
    in_order_per_key(&world.done, 10);
    assert_eq!(sorted(&world.done), offsets(0..100));
    assert!(world.sent.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_attempts_are_spent_leaves_its_key_for_the_dead_letters() {
    let fails = StdMutex::new(BTreeMap::from([(3, 99)]));
    let mut rig = rig(World { fails, refuses: Some(7), ..World::default() }, Then::DeadLetter);
    rig.begin().await;
    let records = keyed(40, 10);
    rig.deliver(0, records.clone());
    rig.until_done(38).await;
    let topic = Arc::clone(&rig.topic);
    let (world, committed) = rig.drain().await;
    in_order_per_key(&world.done, 10);
    assert_eq!(committed, Some(NextOffset(40)));
    let mut sent: Vec<_> = world.sent.lock().unwrap().iter().map(|o| o.record.clone()).collect();
    sent.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(sent.len(), 2);
    assert_eq!((&sent[0].key, &sent[0].value), (&records[3].key, &records[3].value));
    assert_eq!((&sent[1].key, &sent[1].value), (&records[7].key, &records[7].value));
    let counts = topic.ledger.counts();
    assert_eq!(counts.settled.dead_lettered["test"], 1);
    assert_eq!(counts.settled.dead_lettered["mailbox"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_attempts_are_spent_halts_where_the_file_says_stop() {
    let fails = StdMutex::new(BTreeMap::from([(3, 99)]));
    let mut rig = rig(World { fails, ..World::default() }, Then::Stop);
    rig.begin().await;
    rig.deliver(0, keyed(40, 10));
    let halted = loop {
        if let Word::Halt(position, fault) = rig.words.recv().await.unwrap() {
            assert_eq!(&*fault.reason, "not now");
            break position.unwrap().offset;
        }
    };
    assert_eq!(halted, Offset(3));
    let (world, committed) = rig.drain().await;
    assert_eq!(committed, Some(NextOffset(3)), "nothing is committed past it");
    assert!(!world.done.lock().unwrap().contains(&13), "its key waits behind it");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_receiver_only_takes_time() {
    let mut rig = rig(World { away: StdMutex::new(12), ..World::default() }, Then::DeadLetter);
    rig.begin().await;
    rig.deliver(0, keyed(100, 10));
    rig.until_done(100).await;
    let (world, _) = rig.drain().await;
    in_order_per_key(&world.done, 10);
    assert_eq!(sorted(&world.done), offsets(0..100));
    assert!(world.sent.lock().unwrap().is_empty(), "nobody is dead-lettered for an outage");
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_what_has_begun_end_and_forgets_the_rest() {
    let mut rig = rig(World::default(), Then::Stop);
    rig.begin().await;
    rig.deliver(0, keyed(500, 100));
    rig.until_done(20).await;
    let topic = Arc::clone(&rig.topic);
    let (world, committed) = rig.drain().await;
    let done = sorted(&world.done);
    assert!(done.len() < 500);
    let lowest_missing = (0..500).find(|o| !done.contains(o)).unwrap();
    assert_eq!(committed, Some(NextOffset(lowest_missing)));
    let counts = topic.ledger.counts();
    assert_eq!(counts.settled.effects + counts.given_back, 500);
}

#[tokio::test(start_paused = true)]
async fn undecodable_records_leave_for_the_dead_letters_beside_the_lanes() {
    let mut rig = rig(World::default(), Then::Stop);
    rig.begin().await;
    let mut records = keyed(40, 10);
    for bad in [0, 20, 39] {
        records[bad].value = Some(vec![0, 0, 0, 0, 1, 0xff]);
    }
    rig.deliver(0, records);
    rig.until_done(37).await;
    while rig.world.sent.lock().unwrap().len() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (_, committed) = rig.drain().await;
    assert_eq!(committed, Some(NextOffset(40)));
}

#[tokio::test(start_paused = true)]
async fn with_a_state_database_what_settled_behind_the_watermark_is_not_done_again() {
    let state = |sink: Arc<World>| {
        let state = Some(Arc::clone(&sink) as Arc<dyn Progress>);
        Effect::Keyed(Keyed { sink, in_flight: 8, state })
    };
    let fails = StdMutex::new(BTreeMap::from([(3, 99)]));
    let mut rig = Rig::start_with(World { fails, ..World::default() }, state, Then::Stop);
    rig.begin().await;
    let records = keyed(40, 10);
    rig.deliver(0, records.clone());
    // All but the key of record 3.
    rig.until_done(36).await;
    let (first, committed) = rig.drain().await;
    assert_eq!(committed, Some(NextOffset(3)));
    let ahead = first.ahead.lock().unwrap().clone();
    assert!(!ahead.is_empty());

    let world = World { next: StdMutex::new(3), ahead: StdMutex::new(ahead), ..World::default() };
    let mut rig = Rig::start_with(world, state, Then::Stop);
    assert_eq!(rig.begin().await, NextOffset(3));
    rig.deliver(3, records[3..].to_vec());
    rig.until_done(4).await;
    let topic = Arc::clone(&rig.topic);
    let (second, committed) = rig.drain().await;
    assert_eq!(*second.done.lock().unwrap(), [3, 13, 23, 33]);
    assert_eq!(committed, Some(NextOffset(40)));
    assert_eq!(topic.ledger.counts().settled.dropped["done before"], 33);
}

/// Nothing else would wake the task: its last record settles before a timer is armed.
#[tokio::test(start_paused = true)]
async fn a_batch_that_has_no_effect_is_kept_in_time() {
    let state = |sink: Arc<World>| {
        let state = Some(Arc::clone(&sink) as Arc<dyn Progress>);
        Effect::Keyed(Keyed { sink, in_flight: 8, state })
    };
    let done = Ahead::new(vec![Run { first: Offset(0), last: Offset(39) }]);
    let world = World { ahead: StdMutex::new(done.bytes()), ..World::default() };
    let mut rig = Rig::start_with(world, state, Then::Stop);
    rig.begin().await;
    rig.deliver(0, keyed(40, 10));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(*rig.world.next.lock().unwrap(), 40);
}

#[tokio::test(start_paused = true)]
async fn what_was_done_ahead_outlives_a_generation_that_did_not_reach_it() {
    let state = |sink: Arc<World>| {
        let state = Some(Arc::clone(&sink) as Arc<dyn Progress>);
        Effect::Keyed(Keyed { sink, in_flight: 8, state })
    };
    let run = |offset| Run { first: Offset(offset), last: Offset(offset) };
    let ahead = Ahead::new(vec![run(5), run(30)]);
    let world =
        World { next: StdMutex::new(3), ahead: StdMutex::new(ahead.bytes()), ..World::default() };
    let mut rig = Rig::start_with(world, state, Then::Stop);
    rig.begin().await;
    let records = keyed(40, 40);
    rig.deliver(3, records[3..5].to_vec());
    rig.until_done(2).await;
    let (world, committed) = rig.drain().await;
    assert_eq!(committed, Some(NextOffset(5)));
    let kept = Ahead::read(&world.ahead.lock().unwrap()).unwrap();
    assert_eq!(kept, ahead, "both were done and are still to come");
}

/// What a crash repeats is what was in flight and what settled in a second, also when the store is slow.
#[tokio::test(start_paused = true)]
async fn effects_stop_when_what_is_settled_is_not_kept_within_a_second() {
    let state = |sink: Arc<World>| {
        let state = Some(Arc::clone(&sink) as Arc<dyn Progress>);
        Effect::Keyed(Keyed { sink, in_flight: 8, state })
    };
    let world = World { keeps_for: Duration::from_secs(3), ..World::default() };
    let mut rig = Rig::start_with(world, state, Then::Stop);
    rig.begin().await;
    rig.deliver(0, keyed(1_400, 1_400));
    rig.until_done(1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after_a_second = rig.world.done.lock().unwrap().len();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let much_later = rig.world.done.lock().unwrap().len();
    assert!(much_later <= after_a_second + 8, "{after_a_second}, then {much_later}");
    rig.until_done(1_400).await;
}
