//! The outbox in a SQLite file. One process has the file, so sending needs no lease.

use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::super::Error;
use super::super::outbox::{Letter, pack, unpack};
use super::Sqlite;
use crate::record::{DeadLetter, OwnedRecord};

/// Ids are never used twice, so that a letter that was sent cannot be taken for a later one.
pub(super) const CREATE: &str = "CREATE TABLE IF NOT EXISTS ordermill_outbox (
id INTEGER PRIMARY KEY AUTOINCREMENT,
group_name TEXT NOT NULL,
topic TEXT NOT NULL,
partition INTEGER NOT NULL,
letter TEXT NOT NULL,
key BLOB,
value BLOB,
headers BLOB NOT NULL,
timestamp INTEGER,
created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX IF NOT EXISTS ordermill_outbox_order ON ordermill_outbox (group_name, id)";

const INSERT: &str = "
INSERT INTO ordermill_outbox (group_name, topic, partition, letter, key, value, headers, timestamp)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const ANY: &str = "SELECT EXISTS (SELECT 1 FROM ordermill_outbox WHERE group_name = ?1)";

const OLDEST: &str = "
SELECT id, topic, partition, key, value, headers, timestamp FROM ordermill_outbox
WHERE group_name = ?1 AND id > ?2 ORDER BY id LIMIT ?3";

const FORGET: &str = "DELETE FROM ordermill_outbox WHERE id = ?1";

/// A letter as it goes into the table; owned, for the writer's thread.
pub(super) struct Buried {
    group: String,
    topic: String,
    partition: i32,
    id: String,
    record: OwnedRecord,
}

impl Buried {
    pub(super) fn copy_of(letter: &DeadLetter) -> Self {
        Self {
            group: letter.group.to_string(),
            topic: letter.topic.to_string(),
            partition: letter.position.partition.partition,
            id: letter.id(),
            record: letter.outgoing(),
        }
    }
}

/// Inserts letters in their order.
pub(super) fn bury(transaction: &Transaction<'_>, letters: &[Buried]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(INSERT)?;
    for Buried { group, topic, partition, id, record } in letters {
        let OwnedRecord { key, value, headers, timestamp } = record;
        let headers = pack(headers);
        statement.execute(params![group, topic, partition, id, key, value, headers, timestamp])?;
    }
    Ok(())
}

impl Sqlite {
    /// Does a letter of this group wait?
    pub(in crate::database) async fn has_letters(&self, group: &str) -> Result<bool, Error> {
        let group = group.to_owned();
        self.run("looking for dead letters", move |connection| {
            connection.prepare_cached(ANY)?.query_row([group], |row| row.get(0))
        })
        .await
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
        let group = group.to_owned();
        let rows = self
            .run("reading dead letters", move |connection| {
                read(connection, &group, after, max, bytes)
            })
            .await?;
        rows.into_iter()
            .map(|(mut letter, headers)| {
                letter.record.headers = unpack(letter.id, &headers)?;
                Ok(letter)
            })
            .collect()
    }

    /// Deletes letters that were sent.
    pub(in crate::database) async fn forget(&self, ids: &[i64]) -> Result<(), Error> {
        let ids = ids.to_vec();
        self.run("deleting dead letters that were sent", move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut statement = transaction.prepare_cached(FORGET)?;
                for id in ids {
                    statement.execute([id])?;
                }
            }
            transaction.commit()
        })
        .await
    }
}

/// Letters without their headers, and those as they are stored.
fn read(
    connection: &Connection,
    group: &str,
    after: i64,
    max: usize,
    bytes: usize,
) -> rusqlite::Result<Vec<(Letter, Vec<u8>)>> {
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(OLDEST)?;
    let mut rows = statement.query(params![group, after, max])?;
    let mut letters = Vec::new();
    let mut taken = 0;
    while taken < bytes
        && let Some(row) = rows.next()?
    {
        let topic: String = row.get(1)?;
        let letter = Letter {
            id: row.get(0)?,
            topic: Arc::from(topic),
            partition: row.get(2)?,
            record: OwnedRecord {
                key: row.get(3)?,
                value: row.get(4)?,
                headers: Vec::new(),
                timestamp: row.get(6)?,
            },
        };
        let headers: Vec<u8> = row.get(5)?;
        taken += letter.bytes() + headers.len();
        letters.push((letter, headers));
    }
    Ok(letters)
}
