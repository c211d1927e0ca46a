//! Records that end otherwise than in their effect, as the step under way finds out: the step asks, the task
//! answers with the dead letters, since it holds the records.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::Task;
use crate::engine::part::Part;
use crate::port::{Future, Otherwise};
use crate::record::{DeadLetter, End, Fault, Offset};

/// What a step asks.
#[derive(Debug)]
pub(super) struct Question {
    part: Part,
    ends: Vec<(Offset, End)>,
    answer: oneshot::Sender<Result<Vec<DeadLetter>, Fault>>,
}

/// The step's end of the way to its task.
#[derive(Debug)]
pub(super) struct Line {
    part: Part,
    questions: UnboundedSender<Question>,
}

impl Line {
    /// A line for the step of this part, and the task's end of it.
    pub(super) fn new(part: Part) -> (Self, UnboundedReceiver<Question>) {
        let (questions, asked) = unbounded_channel();
        (Self { part, questions }, asked)
    }
}

impl Otherwise for Line {
    fn end(&self, ends: Vec<(Offset, End)>) -> Future<'_, Result<Vec<DeadLetter>, Fault>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let question = Question { part: self.part.clone(), ends, answer };
            // A task that is gone has given the step up; then nobody reads this.
            let gone = || Fault::fatal("defect", "a step outlived its task");
            self.questions.send(question).map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        })
    }
}

/// The next question of the step under way, if there is one; else never ends.
pub(super) async fn next(asked: Option<&mut UnboundedReceiver<Question>>) -> Option<Question> {
    match asked {
        Some(asked) => asked.recv().await,
        None => std::future::pending().await,
    }
}

impl Task {
    pub(super) fn asked(&mut self, question: Question) {
        let Question { part, ends, answer } = question;
        // A step that was given up does not wait for it.
        let _ = answer.send(self.letters_of(&part, ends));
    }

    /// Books how records of a part end; answers all its dead letters.
    fn letters_of(
        &mut self,
        part: &Part,
        ends: Vec<(Offset, End)>,
    ) -> Result<Vec<DeadLetter>, Fault> {
        let mut letters = Vec::new();
        for (offset, end) in &ends {
            let fault = match end {
                End::Drop(_) => continue,
                End::Reject(reason) => Fault::poison("rejected", reason.clone()),
                End::Fault(fault) => fault.clone(),
            };
            let letter = self.held_letter(*offset, &fault);
            letters.push(letter.ok_or_else(|| {
                let reason = format!("record {offset} is not held: this is a defect of ordermill");
                Fault::fatal("defect", reason)
            })?);
        }
        // Without what was begun the part's own dead letters are not at hand: such a step must not commit.
        let Some(begun) = &mut self.begun else {
            return Err(Fault::unavailable("given_up", "the step was given up meanwhile"));
        };
        letters.extend(begun.letters(part).cloned());
        begun.end_otherwise(part, ends);
        letters.sort_by_key(|letter| letter.position.offset);
        Ok(letters)
    }
}
