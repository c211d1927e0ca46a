//! What a table is like, from PostgreSQL's catalog.

use tokio_postgres::Row;

use super::super::{Error, PostgresType, SqlType, Table, TableColumn};
use super::Postgres;

const DOING: &str = "looking at the table";

const FIND: &str = "
SELECT c.oid, format('%I.%I', n.nspname, c.relname), current_user::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p', 'v', 'f')";

/// A domain is followed down to what it is made of, whose length or scale then counts.
const COLUMNS: &str = "
WITH RECURSIVE made AS (
  SELECT a.attnum, a.atttypid AS type, a.atttypmod AS mod, t.typtype, t.typbasetype, t.typtypmod,
         t.typdefault IS NOT NULL AS defaulted, t.typnotnull AS strict
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT m.attnum, t.oid, m.typtypmod, t.typtype, t.typbasetype, t.typtypmod,
         m.defaulted OR t.typdefault IS NOT NULL, m.strict OR t.typnotnull
  FROM made m JOIN pg_catalog.pg_type t ON t.oid = m.typbasetype
  WHERE m.typtype = 'd'
)
SELECT a.attname::text AS name,
       format_type(a.atttypid, a.atttypmod) AS declared,
       m.type, m.mod, m.typtype = 'c' OR m.typtype = 'p' AS odd,
       format_type(m.type, -1) AS plain,
       a.attnotnull OR m.strict AS not_null,
       a.atthasdef OR a.attidentity <> '' OR m.defaulted AS has_default,
       a.attgenerated <> '' OR a.attidentity = 'a' AS generated,
       has_column_privilege($1, a.attnum, 'INSERT') AS may_insert,
       has_column_privilege($1, a.attnum, 'UPDATE') AS may_update,
       has_column_privilege($1, a.attnum, 'SELECT') AS may_select
FROM pg_catalog.pg_attribute a JOIN made m ON m.attnum = a.attnum AND m.typtype <> 'd'
WHERE a.attrelid = $1
ORDER BY a.attnum";

const UNIQUE: &str = "
SELECT array_agg(a.attname::text)
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.n <= i.indnkeyatts
GROUP BY i.indexrelid";

impl Postgres {
    /// See [`Database::table`](super::super::Database::table).
    pub(in crate::database) async fn table(&self, name: &str) -> Result<Option<Table>, Error> {
        let lease = self.lease().await?;
        let table = lease.wait(DOING, look(&lease, name)).await?;
        lease.give_back();
        Ok(table)
    }
}

async fn look(
    client: &tokio_postgres::Client,
    name: &str,
) -> Result<Option<Table>, tokio_postgres::Error> {
    let Some(found) = client.query_opt(FIND, &[&name]).await? else {
        return Ok(None);
    };
    let id: u32 = found.try_get(0)?;
    let columns = client.query(COLUMNS, &[&id]).await?;
    let unique = client.query(UNIQUE, &[&id]).await?;
    Ok(Some(Table {
        name: found.try_get(1)?,
        role: found.try_get(2)?,
        columns: columns.iter().map(column).collect::<Result<_, _>>()?,
        unique: unique.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
    }))
}

fn column(row: &Row) -> Result<TableColumn, tokio_postgres::Error> {
    let odd: bool = row.try_get("odd")?;
    let ty = if odd {
        PostgresType::Unsupported
    } else {
        kind(row.try_get("type")?, row.try_get("mod")?, row.try_get("plain")?)
    };
    Ok(TableColumn {
        name: row.try_get("name")?,
        declared: row.try_get("declared")?,
        ty: SqlType::Postgres(ty),
        not_null: row.try_get("not_null")?,
        has_default: row.try_get("has_default")?,
        generated: row.try_get("generated")?,
        may_insert: row.try_get("may_insert")?,
        may_update: row.try_get("may_update")?,
        may_select: row.try_get("may_select")?,
    })
}

/// A type by its fixed object id; `plain` is its name for SQL without length or scale.
pub(super) fn kind(id: u32, modifier: i32, plain: String) -> PostgresType {
    match id {
        16 => PostgresType::Bool,
        17 => PostgresType::Bytea,
        20 => PostgresType::Int8,
        21 => PostgresType::Int2,
        23 => PostgresType::Int4,
        25 | 1042 => PostgresType::Text { max: None },
        1043 => PostgresType::Text { max: usize::try_from(modifier - 4).ok() },
        114 => PostgresType::Json,
        700 => PostgresType::Float4,
        701 => PostgresType::Float8,
        1082 => PostgresType::Date,
        1083 => PostgresType::Time,
        1114 => PostgresType::Timestamp,
        1184 => PostgresType::TimestampTz,
        1186 => PostgresType::Interval,
        1700 => PostgresType::Numeric { digits: digits(modifier) },
        2950 => PostgresType::Uuid,
        3802 => PostgresType::Jsonb,
        // "char" and name cut what is too long, money reads by locale: nothing goes into them silently.
        18 | 19 | 790 => PostgresType::Unsupported,
        _ => PostgresType::Cast(plain),
    }
}

/// Precision and scale in a numeric's modifier less 4: the high 16 bits, and the low 11, signed.
fn digits(modifier: i32) -> Option<(u16, i16)> {
    (modifier >= 4).then(|| {
        let bits = modifier - 4;
        ((bits >> 16) as u16, (((bits & 0x7ff) ^ 1024) - 1024) as i16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_of_a_numeric_are_read_from_its_modifier() {
        let of = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        assert_eq!(digits(-1), None);
        assert_eq!(digits(of(15, 2)), Some((15, 2)));
        assert_eq!(digits(of(1000, 0)), Some((1000, 0)));
        assert_eq!(digits(of(5, -3)), Some((5, -3)));
    }
}
