//! What is seen from outside is so: every scrape balances, lag is Kafka's own, what is gone is not shown.

mod dashboard;
mod draining;
mod format;
mod lag;
mod ledger;
mod picture;
mod revoke;
