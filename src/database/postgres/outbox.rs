//! The outbox in PostgreSQL: letters in by the step's transaction, out by the one process that has the lease.
//!
//! Sending takes as long as Kafka likes, so nobody holds a transaction or a row's lock meanwhile
//! (`idle_in_transaction_session_timeout` would end it, and vacuum would wait for it). Who sends holds a
//! lease instead: a row of `ordermill_relay` for each group, with a time after which another process may
//! have it. One sender a group also keeps the letters of a partition in order. A holder that was killed
//! is waited for until its time is up; one that froze and wakes sends what it had begun, a second time.

use std::sync::Arc;

use tokio_postgres::types::Type;
use tokio_postgres::{Row, Statement};

use super::super::Error;
use super::super::outbox::{Letter, pack, unpack};
use super::insert::{Arrays, put};
use super::pool::Postgres;
use crate::database::relay::Hold;
use crate::record::{DeadLetter, Effects, OwnedRecord};

/// What is put into one statement at most, in bytes; a letter that is larger has its own.
const STATEMENT_BYTES: usize = 16 << 20;

/// In the order given: identities are drawn after the sort.
pub(super) const INSERT: &str = "
INSERT INTO ordermill_outbox (group_name, topic, partition, letter, key, value, headers, timestamp)
SELECT l.group_name, l.topic, l.partition, l.letter, l.key, l.value, l.headers, l.timestamp
FROM unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::int8[])
     WITH ORDINALITY AS l(group_name, topic, partition, letter, key, value, headers, timestamp, n)
ORDER BY l.n";

const ELEMENTS: [Type; 8] = [
    Type::TEXT,
    Type::TEXT,
    Type::INT4,
    Type::TEXT,
    Type::BYTEA,
    Type::BYTEA,
    Type::BYTEA,
    Type::INT8,
];

const ANY: &str = "SELECT EXISTS (SELECT FROM ordermill_outbox WHERE group_name = $1)";

/// Lengths are read without the values, so that what is left out costs nothing.
const OLDEST: &str = "
SELECT id, topic, partition, key, value, headers, timestamp
FROM (
  SELECT *, sum(bytes) OVER (ORDER BY id) - bytes AS before
  FROM (
    SELECT *, octet_length(headers)::bigint + coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)
              AS bytes
    FROM ordermill_outbox WHERE group_name = $1 AND id > $2 ORDER BY id LIMIT $3
  ) AS oldest
) AS summed
WHERE before < $4::bigint ORDER BY id";

const FORGET: &str = "DELETE FROM ordermill_outbox WHERE id = ANY($1)";

/// Takes or renews the lease; no row: another process has it.
const HOLD: &str = "
INSERT INTO ordermill_relay AS r (group_name, shipper, until)
VALUES ($1, $2, clock_timestamp() + interval '15 s')
ON CONFLICT (group_name) DO UPDATE SET shipper = excluded.shipper, until = excluded.until
WHERE r.until < clock_timestamp() OR r.shipper = excluded.shipper";

const TROUBLE: &str = "SELECT trouble FROM ordermill_relay WHERE group_name = $1";

const LET_GO: &str = "
UPDATE ordermill_relay SET until = '-infinity', trouble = $3 WHERE group_name = $1 AND shipper = $2";

/// All of them, to be checked against the real tables.
pub(super) const STATEMENTS: [&str; 7] = [INSERT, ANY, OLDEST, FORGET, HOLD, TROUBLE, LET_GO];

/// The parameters of the statements that insert these letters, in their order.
///
/// # Errors
/// None for letters; see [`Arrays::transpose`].
pub(super) fn statements(dead: &[DeadLetter]) -> Result<Vec<Arrays>, Error> {
    let mut all = Vec::new();
    let mut rows = Effects::default();
    for (i, letter) in dead.iter().enumerate() {
        let OwnedRecord { key, value, headers, timestamp } = letter.outgoing();
        let partition = letter.position.partition.partition.to_be_bytes();
        let timestamp = timestamp.map(i64::to_be_bytes);
        let fields: [Option<&[u8]>; 8] = [
            Some(letter.group.as_bytes()),
            Some(letter.topic.as_bytes()),
            Some(&partition),
            Some(&letter.id().into_bytes()),
            key.as_deref(),
            value.as_deref(),
            Some(&pack(&headers)),
            timestamp.as_ref().map(<[u8; 8]>::as_slice),
        ];
        for field in fields {
            put(rows.buffer(), field);
        }
        rows.finish(letter.position.offset);
        if rows.bytes() >= STATEMENT_BYTES || i + 1 == dead.len() {
            all.push(Arrays::transpose(&ELEMENTS, &rows, 0..rows.len())?);
            rows.undo(0);
        }
    }
    Ok(all)
}

impl Postgres {
    /// Does a letter of this group wait?
    pub(in crate::database) async fn has_letters(&self, group: &str) -> Result<bool, Error> {
        let lease = self.lease().await?;
        let any = async {
            let statement = lease.statement(ANY).await?;
            lease.query_one(&statement, &[&group]).await?.try_get(0)
        };
        let any = lease.wait("looking for dead letters", any).await?;
        lease.give_back();
        Ok(any)
    }

    /// The oldest letters of a group behind `after`, the lowest first: `max` of them and `bytes` bytes (and
    /// what goes over it of the last one).
    pub(in crate::database) async fn oldest(
        &self,
        group: &str,
        after: i64,
        max: usize,
        bytes: usize,
    ) -> Result<Vec<Letter>, Error> {
        let (max, bytes) =
            (max.try_into().unwrap_or(i64::MAX), bytes.try_into().unwrap_or(i64::MAX));
        let lease = self.lease().await?;
        let rows = async {
            let statement: Statement = lease.statement(OLDEST).await?;
            let rows = lease.query(&statement, &[&group, &after, &max, &bytes]).await?;
            rows.iter().map(read).collect::<Result<Vec<_>, _>>()
        };
        let rows = lease.wait("reading dead letters", rows).await?;
        lease.give_back();
        rows.into_iter()
            .map(|(mut letter, headers)| {
                letter.record.headers = unpack(letter.id, &headers)?;
                Ok(letter)
            })
            .collect()
    }

    /// Deletes letters that were sent.
    pub(in crate::database) async fn forget(&self, ids: &[i64]) -> Result<(), Error> {
        let lease = self.lease().await?;
        let deleted = async {
            let statement = lease.statement(FORGET).await?;
            lease.execute(&statement, &[&ids]).await
        };
        lease.wait("deleting dead letters that were sent", deleted).await?;
        lease.give_back();
        Ok(())
    }

    /// Takes or renews the right to send a group's letters.
    pub(in crate::database) async fn hold(&self, group: &str) -> Result<Hold, Error> {
        let lease = self.lease().await?;
        let held = async {
            let statement = lease.statement(HOLD).await?;
            if lease.execute(&statement, &[&group, &self.shipper]).await? == 1 {
                return Ok(Hold::Ours);
            }
            let statement = lease.statement(TROUBLE).await?;
            let row = lease.query_opt(&statement, &[&group]).await?;
            Ok(Hold::Theirs(row.map(|row| row.try_get(0)).transpose()?.flatten()))
        };
        let held = lease.wait("taking the lease of the outbox", held).await?;
        lease.give_back();
        Ok(held)
    }

    /// Lets others send, and tells them what kept us from it, if anything did.
    pub(in crate::database) async fn let_go(
        &self,
        group: &str,
        trouble: Option<&str>,
    ) -> Result<(), Error> {
        // Text holds no NUL in PostgreSQL.
        let trouble = trouble.map(|text| text.replace('\0', ""));
        let lease = self.lease().await?;
        let done = async {
            let statement = lease.statement(LET_GO).await?;
            lease.execute(&statement, &[&group, &self.shipper, &trouble]).await
        };
        lease.wait("giving the lease of the outbox back", done).await?;
        lease.give_back();
        Ok(())
    }
}

/// A letter without its headers, and those as they are stored.
fn read(row: &Row) -> Result<(Letter, Vec<u8>), tokio_postgres::Error> {
    let topic: &str = row.try_get("topic")?;
    let letter = Letter {
        id: row.try_get("id")?,
        topic: Arc::from(topic),
        partition: row.try_get("partition")?,
        record: OwnedRecord {
            key: row.try_get("key")?,
            value: row.try_get("value")?,
            headers: Vec::new(),
            timestamp: row.try_get("timestamp")?,
        },
    };
    Ok((letter, row.try_get("headers")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Fault, Offset, PartitionId, Position, TopicId};

    #[test]
    fn letters_go_in_one_statement_unless_they_are_many_bytes() {
        let letter = |offset: i64, bytes: usize| DeadLetter {
            topic: "t.dlq".into(),
            topic_id: TopicId(uuid::Uuid::nil()),
            position: Position { partition: PartitionId::new("t", 0), offset: Offset(offset) },
            group: "g".into(),
            fault: Fault::poison("truncated", ""),
            record: OwnedRecord { value: Some(vec![7; bytes]), ..OwnedRecord::default() },
        };
        let count = |sizes: &[usize]| {
            let dead: Vec<_> = (0..).zip(sizes).map(|(i, size)| letter(i, *size)).collect();
            statements(&dead).unwrap().len()
        };
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[1; 1000]), 1);
        assert_eq!(count(&[STATEMENT_BYTES, 1]), 2);
        assert_eq!(count(&[1, STATEMENT_BYTES]), 1);
        assert_eq!(count(&[STATEMENT_BYTES; 2]), 2);
    }
}
