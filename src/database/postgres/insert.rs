//! Rows into a table: one statement, each column an array.
//!
//! `INSERT … SELECT … FROM unnest($1::bigint[], $2::text[], …)`: one message and one plan for any number of
//! rows, and unlike `COPY` it can say what happens on a conflict.

use std::collections::HashSet;
use std::error::Error as StdError;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use bytes::BytesMut;
use tokio_postgres::Client;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::super::table::quoted;
use super::super::{Conflict, Error, PostgresType, SqlType, Table};
use crate::record::Effects;

/// The statement by which rows get into a table.
#[derive(Debug)]
pub(in crate::database) struct Insert {
    sql: String,
    /// The element type of each column's array.
    elements: Vec<Type>,
    /// Of an update on conflict: which columns are its key.
    key: Option<Vec<usize>>,
}

/// How the rows of a step are cut into statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// One statement; with an update on conflict a new one wherever a key comes again, since a statement may
    /// change a row only once.
    ByKey,
    /// A statement for each row: where keys that differ in their bytes are equal to the database.
    EachRow,
}

impl Insert {
    /// Writes the statement for these columns of a table, in this order.
    ///
    /// # Errors
    /// A column that the table does not have.
    pub(in crate::database) fn new(
        table: &Table,
        columns: &[String],
        conflict: &Conflict,
    ) -> Result<Self, Error> {
        let mut elements = Vec::with_capacity(columns.len());
        let (mut names, mut values, mut arrays, mut aliases) =
            (String::new(), String::new(), String::new(), String::new());
        for (i, name) in columns.iter().enumerate() {
            let column =
                table.column(name).ok_or(Error::Defect("a column that was not looked at"))?;
            let SqlType::Postgres(ty) = &column.ty else {
                return Err(Error::Defect("a column of another database"));
            };
            let element = element(ty);
            let comma = if i == 0 { "" } else { ", " };
            names.push_str(&format!("{comma}{}", quoted(name)));
            arrays.push_str(&format!("{comma}${}::{element}[]", i + 1));
            aliases.push_str(&format!("{comma}c{i}"));
            // Without a cast the column's own assignment rules hold: a text that is too long is an error,
            // where a cast would cut it.
            values.push_str(&match ty {
                PostgresType::Cast(to) => format!("{comma}CAST(r.c{i} AS {to})"),
                _ => format!("{comma}r.c{i}"),
            });
            elements.push(element);
        }
        let list = |names: &[String]| {
            let quoted: Vec<_> = names.iter().map(|name| quoted(name).to_string()).collect();
            quoted.join(", ")
        };
        let (on, key) = match conflict {
            Conflict::Reject => (String::new(), None),
            Conflict::Ignore => (" ON CONFLICT DO NOTHING".to_owned(), None),
            Conflict::Update { on, update } => {
                let set: Vec<_> =
                    update.iter().map(|name| format!("{0} = excluded.{0}", quoted(name))).collect();
                let key = (0..columns.len()).filter(|i| on.contains(&columns[*i])).collect();
                let set = set.join(", ");
                (format!(" ON CONFLICT ({}) DO UPDATE SET {set}", list(on)), Some(key))
            }
        };
        Ok(Self {
            sql: format!(
                "INSERT INTO {} ({names}) SELECT {values} FROM unnest({arrays}) AS r({aliases}){on}",
                table.name
            ),
            elements,
            key,
        })
    }

    /// Its SQL.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// Is this the answer to a statement that would change one row twice?
    pub(super) fn met_a_row_twice(&self, error: &Error) -> bool {
        self.key.is_some() && matches!(error, Error::Answer { state, .. } if state == "21000")
    }

    /// The statements for these rows, in their order; none for none.
    pub(super) fn statements(
        &self,
        effects: &Effects,
        rows: Range<usize>,
        cut: Cut,
    ) -> Result<Vec<Arrays>, Error> {
        let ranges = match (&self.key, cut) {
            _ if rows.is_empty() => Vec::new(),
            (_, Cut::EachRow) => rows.map(|row| row..row + 1).collect(),
            (None, Cut::ByKey) => vec![rows],
            (Some(key), Cut::ByKey) => runs_without_repeat(effects, rows, key)?,
        };
        ranges.into_iter().map(|rows| Arrays::transpose(&self.elements, effects, rows)).collect()
    }
}

/// The parameters of one statement: each column as an array in binary form.
pub(super) struct Arrays(Vec<Array>);

impl Arrays {
    /// Turns rows of fields into arrays of elements. Field and element look the same, so bytes are only moved.
    ///
    /// # Errors
    /// A row of another form than its columns.
    pub(super) fn transpose(
        elements: &[Type],
        effects: &Effects,
        rows: Range<usize>,
    ) -> Result<Self, Error> {
        let count = rows.len();
        let bytes: usize = rows.clone().map(|row| effects.row(row).len()).sum();
        let room = Array::HEADER + bytes / elements.len().max(1) * 5 / 4;
        let mut arrays: Vec<Array> =
            elements.iter().map(|element| Array::new(element, count, room)).collect();
        for row in rows {
            let mut rest = effects.row(row);
            for array in &mut arrays {
                let field = field(&mut rest)?;
                array.push(field);
            }
            if !rest.is_empty() {
                return Err(MALFORMED);
            }
        }
        Ok(Self(arrays))
    }

    /// Runs the statement with them.
    pub(super) async fn run(
        self,
        client: &Client,
        statement: &tokio_postgres::Statement,
    ) -> Result<u64, tokio_postgres::Error> {
        let parameters: Vec<&(dyn ToSql + Sync)> =
            self.0.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
        client.execute(statement, &parameters).await
    }
}

pub(super) const MALFORMED: Error = Error::Defect("a row of another form than its columns");

/// Appends a field with its length to a row; `None` is null.
pub(super) fn put(row: &mut Vec<u8>, field: Option<&[u8]>) {
    // A record is far below 2^31 bytes.
    let length = field.map_or(-1, |field| i32::try_from(field.len()).unwrap_or(i32::MAX));
    row.extend_from_slice(&length.to_be_bytes());
    row.extend_from_slice(field.unwrap_or_default());
}

/// Takes the next field with its length off a row.
pub(super) fn field<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Error> {
    let (length, _) = rest.split_first_chunk::<4>().ok_or(MALFORMED)?;
    // -1 is null and has no bytes.
    let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
    let (field, after) = rest.split_at_checked(4 + length).ok_or(MALFORMED)?;
    *rest = after;
    Ok(field)
}

/// Cuts rows wherever a key comes again. Equal hashes of different keys cut once too often, which is harmless.
fn runs_without_repeat(
    effects: &Effects,
    rows: Range<usize>,
    key: &[usize],
) -> Result<Vec<Range<usize>>, Error> {
    let hasher = RandomState::new();
    let mut seen = HashSet::with_capacity(rows.len());
    let mut runs = Vec::new();
    let mut start = rows.start;
    let mut bytes = Vec::new();
    for row in rows.clone() {
        bytes.clear();
        let mut rest = effects.row(row);
        let mut index = 0;
        while !rest.is_empty() {
            let field = field(&mut rest)?;
            if key.contains(&index) {
                bytes.extend_from_slice(field);
            }
            index += 1;
        }
        let hash = hasher.hash_one(&bytes);
        if !seen.insert(hash) {
            runs.push(start..row);
            start = row;
            seen.clear();
            seen.insert(hash);
        }
    }
    runs.push(start..rows.end);
    Ok(runs)
}

/// One column of a statement in PostgreSQL's binary array form.
struct Array(Vec<u8>);

impl Array {
    /// Dimensions, null flag, element type, length, lower bound: 4 bytes each.
    const HEADER: usize = 20;
    const NULLS: Range<usize> = 4..8;

    fn new(element: &Type, length: usize, room: usize) -> Self {
        let mut bytes = Vec::with_capacity(room);
        bytes.extend_from_slice(&1_i32.to_be_bytes());
        bytes.extend_from_slice(&0_i32.to_be_bytes());
        bytes.extend_from_slice(&element.oid().to_be_bytes());
        // A step is bounded far below 2^31 rows.
        bytes.extend_from_slice(&i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes());
        bytes.extend_from_slice(&1_i32.to_be_bytes());
        Self(bytes)
    }

    fn push(&mut self, field: &[u8]) {
        if field.first() == Some(&0xff) {
            self.0[Self::NULLS].copy_from_slice(&1_i32.to_be_bytes());
        }
        self.0.extend_from_slice(field);
    }
}

/// Its size only: the client library prints parameters at level debug, and rows are personal data.
impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl ToSql for Array {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The type in which a column's values are sent.
fn element(ty: &PostgresType) -> Type {
    match ty {
        PostgresType::Bool => Type::BOOL,
        PostgresType::Int2 => Type::INT2,
        PostgresType::Int4 => Type::INT4,
        PostgresType::Int8 => Type::INT8,
        PostgresType::Float4 => Type::FLOAT4,
        PostgresType::Float8 => Type::FLOAT8,
        PostgresType::Numeric { .. } => Type::NUMERIC,
        PostgresType::Bytea => Type::BYTEA,
        PostgresType::Uuid => Type::UUID,
        PostgresType::Date => Type::DATE,
        PostgresType::Time => Type::TIME,
        PostgresType::Timestamp => Type::TIMESTAMP,
        PostgresType::TimestampTz => Type::TIMESTAMPTZ,
        PostgresType::Interval => Type::INTERVAL,
        PostgresType::Json => Type::JSON,
        PostgresType::Jsonb => Type::JSONB,
        PostgresType::Text { .. } | PostgresType::Cast(_) | PostgresType::Unsupported => Type::TEXT,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::TableColumn;
    use super::*;
    use crate::record::Offset;

    fn column(name: &str, ty: PostgresType) -> TableColumn {
        TableColumn {
            name: name.to_owned(),
            declared: String::new(),
            ty: SqlType::Postgres(ty),
            not_null: false,
            has_default: false,
            generated: false,
            may_insert: true,
            may_update: true,
            may_select: true,
        }
    }

    fn insert(conflict: &Conflict) -> Insert {
        let table = Table {
            name: "public.t".to_owned(),
            columns: vec![
                column("id", PostgresType::Int8),
                column("mood", PostgresType::Cast("public.mood".to_owned())),
            ],
            unique: Vec::new(),
            role: String::new(),
        };
        Insert::new(&table, &["id".to_owned(), "mood".to_owned()], conflict).unwrap()
    }

    fn update() -> Conflict {
        Conflict::Update { on: vec!["id".to_owned()], update: vec!["mood".to_owned()] }
    }

    fn effects(keys: &[i64]) -> Effects {
        let mut effects = Effects::default();
        for (offset, key) in keys.iter().enumerate() {
            let out = effects.buffer();
            out.extend_from_slice(&8_i32.to_be_bytes());
            out.extend_from_slice(&key.to_be_bytes());
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            effects.finish(Offset(offset as i64));
        }
        effects
    }

    #[test]
    fn the_statement_casts_only_what_is_sent_as_text_for_another_type() {
        assert_eq!(
            insert(&update()).sql(),
            "INSERT INTO public.t (\"id\", \"mood\") SELECT r.c0, CAST(r.c1 AS public.mood) \
             FROM unnest($1::int8[], $2::text[]) AS r(c0, c1) \
             ON CONFLICT (\"id\") DO UPDATE SET \"mood\" = excluded.\"mood\""
        );
    }

    #[test]
    fn rows_become_columns_and_a_null_is_flagged() {
        let effects = effects(&[7, 8]);
        let statements = insert(&Conflict::Reject).statements(&effects, 0..2, Cut::ByKey).unwrap();
        let Arrays(arrays) = &statements[0];
        assert_eq!(
            arrays[0].0[..20],
            [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 1]
        );
        assert_eq!(
            arrays[0].0[20..],
            [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 8]
        );
        assert_eq!(arrays[1].0[4..8], [0, 0, 0, 1]);
        assert_eq!(arrays[1].0[20..], [0xff; 8]);
    }

    #[test]
    fn a_key_that_comes_again_starts_a_new_statement() {
        let effects = effects(&[1, 2, 1, 1, 3]);
        let lengths = |conflict: &Conflict, cut| -> Vec<u8> {
            insert(conflict)
                .statements(&effects, 0..5, cut)
                .unwrap()
                .iter()
                .map(|Arrays(arrays)| arrays[0].0[15])
                .collect()
        };
        assert_eq!(lengths(&update(), Cut::ByKey), [2, 1, 2]);
        assert_eq!(lengths(&update(), Cut::EachRow), [1; 5]);
        assert_eq!(lengths(&Conflict::Ignore, Cut::ByKey), [5]);
        assert!(insert(&update()).statements(&effects, 3..3, Cut::ByKey).unwrap().is_empty());
    }

    #[test]
    fn a_row_of_another_form_is_refused_not_sent() {
        let mut effects = Effects::default();
        effects.buffer().extend_from_slice(&[0, 0, 0, 9, 1]);
        effects.finish(Offset(0));
        assert!(insert(&Conflict::Reject).statements(&effects, 0..1, Cut::ByKey).is_err());
    }
}
