//! The kafka room on the embedded bus and on a real Kafka: the same laws for both.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test ends where it fails, and tells why"
)]

#[path = "kafka/laws.rs"]
mod laws;
#[path = "kafka/member.rs"]
mod member;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use laws::{SOON, World, name};
use member::{Ledger, Manner, Running, until};
use ordermill::kafka::{Admin, Bus, Member, Settings};
use ordermill::port::{Admin as _, Batch, Command, Intake, Room, StartAt, Trouble};
use ordermill::record::{NextOffset, OwnedRecord, PartitionId};

/// Each law as a test on both clusters.
macro_rules! on_both {
    ($($law:ident)*) => {
        mod embedded {
            $(#[test]
            fn $law() {
                super::laws::$law(&super::embedded_world());
            })*
        }
        mod real {
            $(#[test]
            fn $law() {
                super::laws::$law(&super::real_world());
            })*
        }
    };
}

on_both! {
    every_record_comes_once_in_order_and_is_committed
    a_full_window_stops_its_partition_and_loses_nothing
    slow_partitions_do_not_keep_the_others_waiting_one_after_another
    a_partition_starts_where_it_is_told_when_it_is_told
    a_pause_ends_with_the_assignment
    an_offset_out_of_range_is_told_and_can_be_left
    what_is_sent_comes_back_byte_for_byte
    a_record_too_large_fails_alone
    a_missing_topic_is_told
}

#[test]
fn on_kafka_members_that_come_and_go_neither_lose_nor_repeat() {
    laws::members_that_come_and_go_neither_lose_nor_repeat(&real_world());
}

#[test]
fn on_an_embedded_bus_members_that_come_and_go_lose_nothing() {
    laws::members_that_come_and_go_lose_nothing(&embedded_world());
}

fn embedded_world() -> World {
    let bus = Bus::start(1).unwrap();
    World { settings: settings(bus.bootstrap()), admin: Arc::new(bus.admin().unwrap()) }
}

fn real_world() -> World {
    let settings = settings(&real_bootstrap());
    World { admin: Arc::new(Admin::new(&settings).unwrap()), settings }
}

fn real_bootstrap() -> String {
    std::env::var("ORDERMILL_TEST_KAFKA")
        .unwrap_or_else(|_| panic!("ORDERMILL_TEST_KAFKA is not set: run make test"))
}

fn settings(bootstrap: &str) -> Settings {
    let mut settings = Settings::at(bootstrap);
    settings.session_timeout = Duration::from_secs(6);
    settings
}

/// Copies records out, with everything they carry.
struct Reader(Mutex<Vec<OwnedRecord>>, Mutex<Vec<PartitionId>>);

impl Intake for Reader {
    fn started(&self, _: &PartitionId, _: NextOffset) {}

    fn assigned(&self, partitions: Vec<PartitionId>) {
        *self.1.lock().unwrap() = partitions;
    }
    fn revoked(&self, _: Vec<PartitionId>, _: bool) {}
    fn batch(&self, _: &PartitionId, batch: Box<dyn Batch>) -> Room {
        let copies = (0..batch.len()).map(|i| OwnedRecord::copy_of(&batch.record(i)));
        self.0.lock().unwrap().extend(copies);
        Room::Free
    }
    fn room(&self, _: &PartitionId) -> Room {
        Room::Free
    }
    fn committed(&self, _: Result<&[(PartitionId, NextOffset)], String>) {}
    fn trouble(&self, _: Trouble) {}
}

fn read_all(settings: &Settings, topic: &str, count: usize) -> Vec<OwnedRecord> {
    let reader = Arc::new(Reader(Mutex::default(), Mutex::default()));
    let intake = Arc::<Reader>::clone(&reader);
    let handle = Member::start(settings, &name("group"), &[topic.to_owned()], intake).unwrap();
    until("the assignment", SOON, || !reader.1.lock().unwrap().is_empty());
    let entries = reader.1.lock().unwrap().clone();
    let entries = entries.into_iter().map(|id| (id, StartAt::Offset(NextOffset(0)))).collect();
    handle.send(Command::Accept(entries));
    until("the records", SOON, || reader.0.lock().unwrap().len() >= count);
    handle.send(Command::Leave(Vec::new()));
    handle.join(SOON).unwrap();
    std::mem::take(&mut reader.0.lock().unwrap())
}

fn unreachable(t: &Trouble) -> bool {
    matches!(t, Trouble::Unreachable(_))
}

fn reachable(t: &Trouble) -> bool {
    matches!(t, Trouble::Reachable)
}

#[test]
fn an_embedded_topic_of_another_start_is_another_topic() {
    let (one, two) = (Bus::start(1).unwrap(), Bus::start(1).unwrap());
    let first = one.create_topic("orders", 3).unwrap();
    assert_eq!(one.create_topic("orders", 3).unwrap(), first);
    assert_ne!(two.create_topic("orders", 3).unwrap().id, first.id);
    let asked = futures::executor::block_on(one.admin().unwrap().topic("orders"));
    assert_eq!(asked, Ok(Some(first)));
}

#[test]
fn an_outage_is_told_once_and_the_member_reads_on_after_it() {
    let bus = Bus::start(1).unwrap();
    let world =
        World { settings: settings(bus.bootstrap()), admin: Arc::new(bus.admin().unwrap()) };
    let topic = world.topic(4);
    world.fill(&topic, 1_000);
    let ledger = Arc::<Ledger>::default();
    let member = world.member(&name("group"), &topic, &ledger, &Manner::default());
    until("the records", SOON, || ledger.records() == 1_000);

    bus.set_up(false).unwrap();
    until("the outage", SOON, || member.told.heard(unreachable) == 1);
    assert_eq!(member.told.heard(reachable), 0);
    bus.set_up(true).unwrap();
    // Nothing new is in the topic: the end of the outage shows all the same.
    until("its end", SOON, || member.told.heard(reachable) == 1);
    world.fill(&topic, 1_000);
    until("the rest", SOON, || ledger.records() == 2_000);
    assert_eq!(member.told.heard(unreachable), 1);
    member.leave();
    ledger.assert_clean();
}

/// Ticks (10 ms) that the poll thread of this group has used.
#[cfg(target_os = "linux")]
fn cpu_ticks(group: &str) -> u64 {
    let comm = format!("poll-{group}");
    let comm = &comm[..15];
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        if let Some((head, tail)) = stat.rsplit_once(')')
            && head.ends_with(comm)
        {
            let fields: Vec<&str> = tail.split_whitespace().collect();
            return fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    panic!("no thread named {comm}");
}

/// The mock cluster refuses commits that a real one takes while a rebalance is being prepared.
#[test]
fn a_storm_of_clean_stops_neither_loses_nor_repeats() {
    laws::a_storm_of_clean_stops_neither_loses_nor_repeats(&real_world());
}

/// The group does not wait a session for a member that held nothing and left.
#[test]
fn a_member_without_partitions_leaves_at_once() {
    let mut world = real_world();
    world.settings.session_timeout = Duration::from_secs(40);
    let topic = world.topic(1);
    let group = name("group");
    let ledger = Arc::<Ledger>::default();
    let start = || world.member(&group, &topic, &ledger, &Manner::default());
    let first = start();
    until("the first has it", SOON, || first.told.held() == 1);
    let idle = start();
    until("the second is in", SOON, || idle.handle.joined());
    idle.leave();
    let third = start();
    until("the third is in", Duration::from_secs(20), || third.handle.joined());
    third.leave();
    first.leave();
}

/// A broker that is not there yet: told once, no busy loop, and it goes on once it comes.
#[test]
fn a_member_started_before_its_broker_waits_for_it() {
    let real = real_bootstrap();
    let world = real_world();
    let topic = world.topic(2);
    world.fill(&topic, 500);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);

    let group = name("g");
    let ledger = Arc::<Ledger>::default();
    let member = Running::start(
        &settings(&address.to_string()),
        &group,
        &topic,
        Arc::clone(&world.admin),
        Arc::clone(&ledger),
        &Manner::default(),
    );
    until("the outage", SOON, || member.told.heard(unreachable) == 1);
    let before = cpu_ticks(&group);
    std::thread::park_timeout(Duration::from_secs(1));
    let used = cpu_ticks(&group) - before;
    assert!(used < 30, "{used} ticks in a second without a broker");
    assert!(!member.handle.joined());
    assert!(member.handle.last_poll().elapsed() < Duration::from_secs(5));

    // A door to the real one: from there the client learns its true address.
    let door = std::net::TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for inside in door.incoming().flatten() {
            let outside = std::net::TcpStream::connect(&real).unwrap();
            let (mut a, mut b) = (inside.try_clone().unwrap(), outside.try_clone().unwrap());
            let (mut c, mut d) = (outside, inside);
            std::thread::spawn(move || std::io::copy(&mut a, &mut b));
            std::thread::spawn(move || std::io::copy(&mut c, &mut d));
        }
    });
    until("the end of the outage", SOON, || member.told.heard(reachable) == 1);
    until("the records", SOON, || ledger.records() == 500);
    assert_eq!(member.told.heard(unreachable), 1);
    member.leave();
    ledger.assert_clean();
}

#[test]
fn a_topic_deleted_and_made_again_is_another_topic() {
    use rdkafka::admin::{AdminClient, AdminOptions};
    use rdkafka::client::DefaultClientContext;
    let world = real_world();
    let topic = world.topic(3);
    let ask = || futures::executor::block_on(world.admin.topic(&topic)).unwrap();
    until("the topic", SOON, || ask().is_some());
    let first = ask().unwrap();
    assert_eq!(first.partitions, 3);
    assert!(!first.id.0.is_nil());

    let client: AdminClient<DefaultClientContext> =
        rdkafka::ClientConfig::new().set("bootstrap.servers", real_bootstrap()).create().unwrap();
    let deleted =
        futures::executor::block_on(client.delete_topics(&[&topic], &AdminOptions::new()));
    deleted.unwrap().remove(0).unwrap();
    until("it is gone", SOON, || ask().is_none());
    futures::executor::block_on(world.admin.create_topic(&topic, 5, 1)).unwrap();
    until("it is back", SOON, || ask().is_some());
    let second = ask().unwrap();
    assert_eq!(second.partitions, 5);
    assert_ne!(second.id, first.id);
    // One that is there is left as it is.
    futures::executor::block_on(world.admin.create_topic(&topic, 7, 1)).unwrap();
    assert_eq!(ask(), Some(second));
}

#[test]
fn a_group_is_described_with_what_its_members_hold() {
    let world = real_world();
    let admin = Admin::new(&world.settings).unwrap();
    let topic = world.topic(4);
    let group = name("group");
    let ask = || futures::executor::block_on(admin.group(&group)).unwrap();
    assert_eq!((ask().state.as_str(), ask().members.len()), ("Dead", 0));
    let ledger = Arc::<Ledger>::default();
    let member = world.member(&group, &topic, &ledger, &Manner::default());
    until("the assignment", SOON, || member.told.held() == 4);
    until("a stable group", SOON, || ask().state == "Stable");
    let described = ask();
    assert_eq!(described.members.len(), 1);
    assert_eq!(described.members[0].client_id, "ordermill");
    let mut held = described.members[0].partitions.clone();
    held.sort();
    assert_eq!(held, World::ids(&topic, 4));
    member.leave();
    until("an empty group", SOON, || ask().members.is_empty());
}

#[test]
fn a_member_whose_identity_is_taken_ends_with_a_fatal_trouble() {
    let mut world = real_world();
    let properties = &mut world.settings.properties;
    properties.insert("group.instance.id".into(), "mill-0".into());
    let topic = world.topic(2);
    let group = name("group");
    let ledger = Arc::<Ledger>::default();
    let first = world.member(&group, &topic, &ledger, &Manner::default());
    until("the assignment", SOON, || first.told.held() == 2);
    let second = world.member(&group, &topic, &ledger, &Manner::default());
    until("the end of the first", SOON, || first.handle.ended());
    assert_eq!(
        first.told.heard(|t| matches!(t, Trouble::Fatal(_))),
        1,
        "{:?}",
        first.told.troubles.lock().unwrap()
    );
    until("the second has all", SOON, || second.told.held() == 2);
    second.leave();
}

/// A member that stands still for too long has lost its partitions; it says so, comes back, and with a
/// truth of its own nothing is done twice.
#[test]
fn a_member_that_stood_still_has_lost_its_partitions_and_comes_back() {
    let mut world = real_world();
    let properties = &mut world.settings.properties;
    properties.insert("max.poll.interval.ms".into(), "6000".into());
    let topic = world.topic(3);
    world.fill(&topic, 10_000);
    let ledger = Arc::<Ledger>::default();
    let manner =
        Manner { own_truth: true, freeze: Some(Duration::from_secs(9)), ..Manner::default() };
    let member = world.member(&name("group"), &topic, &ledger, &manner);
    until("the loss", SOON, || member.told.lost.load(std::sync::atomic::Ordering::Relaxed));
    until("it is back", SOON, || member.told.held() == 3);
    world.fill(&topic, 10_000);
    until("all records", SOON, || ledger.records() >= 20_000);
    member.leave();
    ledger.assert_clean();
    assert_eq!(ledger.records(), 20_000);
}
