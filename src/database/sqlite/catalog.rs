//! What a table is like, from SQLite's pragmas.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::table::quoted;
use super::super::{Affinity, Error, SqlType, Table, TableColumn};
use super::Sqlite;

const FIND: &str = "SELECT schema, name, strict, wr FROM pragma_table_list \
                    WHERE name = ?2 COLLATE NOCASE AND schema = ?1 COLLATE NOCASE AND type <> 'view'";

const COLUMNS: &str = "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden \
                       FROM pragma_table_xinfo(?1, ?2) ORDER BY cid";

const UNIQUE: &str = "SELECT name FROM pragma_index_list(?1, ?2) WHERE \"unique\" AND NOT partial";

const INDEXED: &str = "SELECT name FROM pragma_index_info(?1, ?2) ORDER BY seqno";

impl Sqlite {
    /// See [`Database::table`](super::super::Database::table).
    pub(in crate::database) async fn table(&self, name: &str) -> Result<Option<Table>, Error> {
        let (schema, name) = match name.split_once('.') {
            Some((schema, name)) => (schema.to_owned(), name.to_owned()),
            None => ("main".to_owned(), name.to_owned()),
        };
        self.run("looking at the table", move |connection| look(connection, &schema, &name)).await
    }
}

fn look(connection: &Connection, schema: &str, name: &str) -> rusqlite::Result<Option<Table>> {
    let found = connection
        .query_row(FIND, params![schema, name], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, bool>(2)?,
                row.get::<_, bool>(3)?,
            ))
        })
        .optional()?;
    let Some((schema, name, strict, without_rowid)) = found else {
        return Ok(None);
    };
    let mut columns: Vec<(TableColumn, i64)> = connection
        .prepare(COLUMNS)?
        .query_map(params![name, schema], |row| column(row, strict))?
        .collect::<Result<_, _>>()?;
    let key: Vec<String> = {
        let mut key: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).collect();
        key.sort_by_key(|(_, place)| *place);
        key.iter().map(|(column, _)| column.name.clone()).collect()
    };
    if !without_rowid && key.len() == 1 {
        for (column, place) in &mut columns {
            // The row's own number: SQLite makes one when none is given.
            column.has_default |= *place == 1 && column.declared.eq_ignore_ascii_case("integer");
        }
    }
    let mut unique = unique(connection, &schema, &name)?;
    if !key.is_empty() {
        unique.push(key);
    }
    Ok(Some(Table {
        name: format!("{}.{}", quoted(&schema), quoted(&name)),
        columns: columns.into_iter().map(|(column, _)| column).collect(),
        unique,
        role: String::new(),
    }))
}

/// A column, and its place in the primary key from 1 (0: not in it).
fn column(row: &rusqlite::Row<'_>, strict: bool) -> rusqlite::Result<(TableColumn, i64)> {
    let declared: String = row.get(1)?;
    let place: i64 = row.get(4)?;
    let hidden: i64 = row.get(5)?;
    let column = TableColumn {
        name: row.get(0)?,
        ty: SqlType::Sqlite(affinity(&declared, strict)),
        declared,
        // SQLite lets null into most primary keys, and makes a number of it in the others: we do not.
        not_null: row.get::<_, bool>(2)? || place > 0,
        has_default: row.get(3)?,
        generated: hidden != 0,
        may_insert: true,
        may_update: true,
        may_select: true,
    };
    Ok((column, place))
}

/// Indexes over an expression have a column without a name and are no conflict's target.
fn unique(connection: &Connection, schema: &str, name: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    let indexes: Vec<String> = connection
        .prepare(UNIQUE)?
        .query_map(params![name, schema], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut unique = Vec::new();
    for index in indexes {
        let columns: Vec<Option<String>> = connection
            .prepare(INDEXED)?
            .query_map(params![index, schema], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        unique.extend(columns.into_iter().collect::<Option<Vec<_>>>());
    }
    Ok(unique)
}

/// The rules of SQLite's documentation, in their order.
fn affinity(declared: &str, strict: bool) -> Affinity {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if strict && declared == "ANY" {
        Affinity::Blob
    } else if has(&["INT"]) {
        Affinity::Integer
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if declared.is_empty() || has(&["BLOB"]) {
        Affinity::Blob
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_has_the_affinity_that_sqlite_gives_it() {
        let table = [
            ("INTEGER", Affinity::Integer),
            ("bigint", Affinity::Integer),
            ("VARCHAR(10)", Affinity::Text),
            ("", Affinity::Blob),
            ("DOUBLE PRECISION", Affinity::Real),
            ("DECIMAL(15,2)", Affinity::Numeric),
            ("DATE", Affinity::Numeric),
            ("ANY", Affinity::Numeric),
        ];
        for (declared, want) in table {
            assert_eq!(affinity(declared, false), want, "{declared}");
        }
        assert_eq!(affinity("ANY", true), Affinity::Blob);
    }

    #[test]
    fn a_table_is_seen_as_it_is() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, \
                 note TEXT DEFAULT '-', twice INTEGER AS (id * 2), a INT, b INT); \
                 CREATE UNIQUE INDEX ab ON t (b, a); \
                 CREATE UNIQUE INDEX part ON t (a) WHERE a > 0; \
                 CREATE UNIQUE INDEX lower ON t (lower(note));",
            )
            .unwrap();
        let table = look(&connection, "main", "T").unwrap().unwrap();
        assert_eq!(table.name, "\"main\".\"t\"");
        let id = table.column("id").unwrap();
        assert!(id.not_null && id.has_default);
        assert!(table.column("code").unwrap().not_null);
        assert!(table.column("note").unwrap().has_default);
        assert!(table.column("twice").unwrap().generated);
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert!(table.is_unique(&set(&["id"])));
        assert!(table.is_unique(&set(&["code"])));
        assert!(table.is_unique(&set(&["a", "b"])));
        assert!(!table.is_unique(&set(&["a"])));
        assert!(!table.is_unique(&set(&["note"])));
        assert!(look(&connection, "main", "none").unwrap().is_none());
    }
}
