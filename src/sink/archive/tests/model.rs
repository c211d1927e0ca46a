//! Two owners of one partition that crash, are fenced and write late, against the naive model: each offset once.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::store::{Fate, Faulty};
use super::*;

#[derive(Clone, Debug)]
enum Act {
    /// An owner goes on: claims if it must, else makes (or repeats) its next step of so many records.
    Work(usize, i64),
    /// An owner forgets everything, as a process that was killed.
    Crash(usize),
    /// Writes that were late land.
    Land,
}

/// An owner: an archive of its own over the shared store, and where it stands.
struct Owner {
    archive: Archive,
    claim: Option<Claim>,
    next: i64,
    /// The step that failed and must be asked again.
    again: Option<(i64, i64)>,
}

impl Owner {
    fn new(store: &Arc<Faulty>) -> Self {
        Self { archive: over(store), claim: None, next: 0, again: None }
    }

    async fn work(&mut self, records: i64) {
        let Some(claimed) = &self.claim else {
            match claim(&self.archive, 0).await {
                Ok(claim) => {
                    self.next = claim.next.0;
                    self.claim = Some(claim);
                }
                Err(fault) => assert_eq!(fault.class, crate::record::Class::Unavailable, "{fault}"),
            }
            return;
        };
        let step = self.again.take().unwrap_or((self.next, self.next + records));
        match apply(&self.archive, claimed, step, dropped).await {
            Ok(()) => self.next = step.1,
            Err(Refusal::Fenced) => self.claim = None,
            Err(Refusal::Fault(fault)) => {
                assert_eq!(fault.class, crate::record::Class::Unavailable, "{fault}");
                self.again = Some(step);
            }
        }
    }
}

/// Every fifth record, and all from 20 to 29: whole steps are without an effect.
fn dropped(offset: i64) -> bool {
    offset % 5 == 0 || (20..30).contains(&offset)
}

fn acts() -> impl Strategy<Value = Vec<(Act, Vec<Fate>)>> {
    let act = prop_oneof![
        8 => (0..2_usize, 1..12_i64).prop_map(|(owner, records)| Act::Work(owner, records)),
        2 => (0..2_usize).prop_map(Act::Crash),
        1 => Just(Act::Land),
    ];
    let fate = prop_oneof![
        6 => Just(Fate::Pass),
        1 => Just(Fate::Lost(ErrorKind::StorageFull)),
        1 => Just(Fate::Unheard),
        1 => Just(Fate::Late),
    ];
    prop::collection::vec((act, prop::collection::vec(fate, 0..4)), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// After every act the chain is sound and holds each offset below its end that was not dropped, once and in
    /// order; and whoever is told that a step is done finds it there.
    #[test]
    fn whatever_crashes_and_comes_late_each_record_is_there_once(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = Arc::new(Faulty::default());
            let mut owners = [Owner::new(&store), Owner::new(&store)];
            let mut known = 0;
            for (act, fates) in acts {
                *store.fates.lock().unwrap() = fates.into();
                match act {
                    Act::Work(owner, records) => owners[owner].work(records).await,
                    Act::Crash(owner) => owners[owner] = Owner::new(&store),
                    Act::Land => store.land().await,
                }
                store.fates.lock().unwrap().clear();
                let end = end(&store).await;
                for owner in &owners {
                    assert!(owner.next <= end, "told of what is not there");
                }
                assert!(known <= end, "what was there is gone");
                if known == end {
                    continue;
                }
                known = end;
                let there = offsets(&store.inner, 0).await;
                assert_eq!(there, (0..known).filter(|o| !dropped(*o)).collect::<Vec<_>>());
            }
            // Whoever comes next goes on, whatever is left over.
            store.land().await;
            let mut next = Owner::new(&store);
            next.work(0).await;
            assert_eq!(next.next, end(&store).await);
            next.work(7).await;
            assert_eq!(next.next, end(&store).await);
        });
    }
}

/// Where the chain ends.
async fn end(store: &Arc<Faulty>) -> i64 {
    let objects = Objects::over(Arc::clone(&store.inner) as _, "the archive");
    let chain = links(&objects, TOPIC, 0, usize::MAX).await.unwrap();
    chain.last().map_or(0, |last| last.link.last.next().0)
}
