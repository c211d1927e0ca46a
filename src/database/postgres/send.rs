//! Several requests on one connection, none waiting for the answer of the one before.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures::FutureExt;
use futures::future::{MaybeDone, maybe_done};

use crate::port::Future;

/// A request that is sent when it is polled first.
pub(super) type Request<'a> = Future<'a, Result<u64, tokio_postgres::Error>>;

/// Sends all these in their order and waits for all; the answers in the same order.
pub(super) async fn all(requests: Vec<Request<'_>>) -> Vec<Result<u64, tokio_postgres::Error>> {
    let mut sent: Vec<MaybeDone<_>> = requests.into_iter().map(maybe_done).collect();
    poll_fn(|context| {
        for request in &mut sent {
            let _ = request.poll_unpin(context);
        }
        Poll::Ready(())
    })
    .await;
    // Answers come in the same order: one after another is awaited, and none looked at twice.
    let mut answers = Vec::with_capacity(sent.len());
    for mut request in sent {
        (&mut request).await;
        answers.extend(Pin::new(&mut request).take_output());
    }
    answers
}
