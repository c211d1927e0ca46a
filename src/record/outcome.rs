//! The named ends of a record that leaves the stages without an effect.

use std::borrow::Cow;
use std::fmt;

use super::Fault;

/// Why a record was dropped or rejected: a short stable text that the pipeline's author wrote or a stage
/// gives, safe as a metric label.
pub type Reason = Cow<'static, str>;

/// How a record ends that gives no effect. What gives one goes on to the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Not wanted: `filter` said no, `unnest` found nothing. Settled, counted.
    Drop(Reason),
    /// Refused by a rule of the business: `check` said no.
    Reject(Reason),
    /// It could not be processed: undecodable, or an expression failed on it.
    Fault(Fault),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Drop(why) => write!(f, "dropped: {why}"),
            End::Reject(why) => write!(f, "rejected: {why}"),
            End::Fault(fault) => fault.fmt(f),
        }
    }
}
