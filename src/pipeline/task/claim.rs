//! What a task asks for by itself: its claim, and schemas that it meets.

use std::sync::Arc;

use super::{Task, Word};
use crate::engine::offsets::Tracker;
use crate::engine::partition::Input;
use crate::pipeline::chunk::Chunk;
use crate::port::{Claim, SchemaText};
use crate::record::{Class, Fault};

impl Task {
    pub(super) fn begin_claim(&mut self) {
        let (shared, partition) = (Arc::clone(&self.shared), self.partition.clone());
        self.claiming = Some(Box::pin(async move {
            let mut claims =
                shared.claimer.claim(shared.truth(), std::slice::from_ref(&partition)).await?;
            claims.pop().ok_or_else(|| Fault::unavailable("claim", "the store answered nothing"))
        }));
    }

    pub(super) fn claimed(&mut self, claim: Claim, tell_group: bool) {
        let next = claim.next;
        self.wiring.view.set_waiting(None);
        self.forget();
        self.tracker = Tracker::new(next);
        self.building = Chunk::new(next);
        self.awaited = Some(next);
        // Before the group may commit under this claim.
        self.wiring.view.set_watermark(next);
        if tell_group {
            let _ = self.wiring.words.send(Word::Start(claim.clone()));
        }
        self.processor.begin(&claim);
        self.claim = Some(Arc::new(claim));
        self.tell(&Input::Claimed(next));
    }

    pub(super) fn claim_failed(&mut self, fault: &Fault) {
        if fault.class == Class::Fatal {
            return self.tell(&Input::ClaimRefused(fault));
        }
        self.wiring.view.set_waiting(Some(fault.reason.clone()));
        self.tell(&Input::ClaimFailed);
    }

    // ---- schemas

    pub(super) fn ask(&mut self, id: u32) {
        let schemas = Arc::clone(&self.shared.schemas);
        self.asking = Some(Box::pin(async move { (id, schemas.by_id(id).await) }));
    }

    pub(super) fn schema_came(&mut self, id: u32, answer: Result<Arc<SchemaText>, Fault>) {
        match answer {
            Ok(text) => {
                self.schemas.succeeded();
                self.wiring.view.set_waiting(None);
                self.processor.learn(id, &text);
            }
            Err(fault) if fault.class == Class::Unavailable => {
                self.wiring.view.set_waiting(Some(fault.reason));
                let at = self.schemas.failed(self.now());
                self.ask_at = Some((id, at));
            }
            Err(fault) => {
                self.schemas.succeeded();
                self.wiring.view.set_waiting(None);
                self.processor.refuse(id, fault);
            }
        }
        self.show();
    }
}
