//! Which value goes into which column, checked against the real table: every problem at once.

use std::sync::Arc;

use super::Column;
use super::insert::Options;
use crate::database::{Affinity, Conflict, PostgresType, SqlText, SqlType, Table, TableColumn};
use crate::record::{End, Fault, Type};

/// A column or parameter that is filled, and how.
#[derive(Clone)]
pub(super) struct Field {
    /// What it is called in messages: `column note`, `parameter :note`.
    pub(super) label: String,
    pub(super) name: String,
    pub(super) source: Arc<dyn Column>,
    pub(super) ty: SqlType,
    pub(super) not_null: bool,
}

impl Field {
    /// A value that can never go there. The reason names the place, never the value.
    pub(super) fn refuse(&self, code: &'static str, why: &str) -> End {
        End::Fault(Fault::poison(code, format!("{}: {why}", self.label)))
    }

    /// Null where none may be.
    pub(super) fn refuse_null(&self) -> End {
        self.refuse("not_null_violation", "null where the column takes none")
    }

    /// A value of a kind that the plan did not let through.
    pub(super) fn defect(&self) -> End {
        End::Fault(Fault::fatal(
            "defect",
            format!(
                "{}: a value of another type than {} came: this is a defect of ordermill, \
                 please report it",
                self.label,
                self.source.ty()
            ),
        ))
    }
}

/// The columns to fill, in the order of the options; or all that stands in the way.
pub(super) fn plan(table: &Table, options: &Options) -> Result<Vec<Field>, Vec<String>> {
    let mut problems = Vec::new();
    let mut fields: Vec<Field> = Vec::with_capacity(options.columns.len());
    if options.columns.is_empty() {
        problems.push("no columns are given: name at least one".to_owned());
    }
    for (name, source) in &options.columns {
        let Some(column) = table.column(name) else {
            problems.push(no_column(table, name));
            continue;
        };
        if fields.iter().any(|field| field.name == *name) {
            problems.push(format!("column {name} is given twice"));
        }
        problems.extend(refusals(column, source.ty()));
        fields.push(Field {
            label: format!("column {name}"),
            name: name.clone(),
            source: Arc::clone(source),
            ty: column.ty.clone(),
            not_null: column.not_null,
        });
    }
    let filled = options.columns.iter().map(|(name, _)| name);
    problems.extend(grant("INSERT", table, filled, |column| column.may_insert));
    for column in &table.columns {
        let filled = options.columns.iter().any(|(name, _)| *name == column.name);
        if column.not_null && !column.has_default && !column.generated && !filled {
            problems.push(format!(
                "column {} takes no null and has no default, but gets no value: add it to columns",
                column.name
            ));
        }
    }
    if let Conflict::Update { on, update } = &options.conflict {
        problems.extend(conflict_problems(table, options, on, update));
    }
    if problems.is_empty() { Ok(fields) } else { Err(problems) }
}

/// The parameters of a statement in the order of their names, each with its field of the event; or all that
/// stands in the way.
pub(super) fn parameters(
    statement: &SqlText,
    types: &[SqlType],
    columns: &[(String, Arc<dyn Column>)],
) -> Result<Vec<Field>, Vec<String>> {
    let mut problems = Vec::new();
    let mut fields = Vec::with_capacity(types.len());
    for (name, ty) in statement.names().iter().map(|name| &name.name).zip(types) {
        let Some((_, source)) = columns.iter().find(|(column, _)| column == name) else {
            problems.push(format!("the event has no field {name}"));
            continue;
        };
        if let Err(why) = fits_parameter(source.ty(), ty) {
            let wanted = wanted(ty);
            problems.push(format!("parameter :{name}{wanted} cannot take {}: {why}", source.ty()));
        }
        fields.push(Field {
            label: format!("parameter :{name}"),
            name: name.clone(),
            source: Arc::clone(source),
            ty: ty.clone(),
            not_null: false,
        });
    }
    if problems.is_empty() { Ok(fields) } else { Err(problems) }
}

/// What the server takes a parameter for, where it says so.
fn wanted(ty: &SqlType) -> String {
    match ty {
        SqlType::Postgres(PostgresType::Cast(name)) => format!(" ({name})"),
        SqlType::Postgres(PostgresType::Numeric { .. }) => " (numeric)".to_owned(),
        SqlType::Postgres(PostgresType::Text { .. }) => " (text)".to_owned(),
        SqlType::Postgres(ty) => format!(" ({})", format!("{ty:?}").to_lowercase()),
        SqlType::Sqlite(_) => String::new(),
    }
}

/// May values of this type be bound to such a parameter? SQLite's parameters have no type: a value is bound as
/// it is, and what has no form of its own there is refused.
fn fits_parameter(ty: &Type, parameter: &SqlType) -> Result<(), &'static str> {
    let plain = match ty {
        Type::Optional(some) => &**some,
        other => other,
    };
    match (parameter, plain) {
        (SqlType::Postgres(_), _) => fits(ty, parameter).map_err(|why| match why {
            OTHERWISE => {
                "write a cast in the statement, as :name::type, or convert the value by a `map`"
            }
            why => why,
        }),
        (SqlType::Sqlite(_), Type::Decimal { .. }) => Err(
            "SQLite has no exact decimal: give it text, or a whole number (such as cents), by a `map`",
        ),
        (SqlType::Sqlite(_), Type::List(_) | Type::Map(_) | Type::Record(_) | Type::Union(_)) => {
            fits(ty, parameter)
        }
        (SqlType::Sqlite(_), _) => Ok(()),
    }
}

fn no_column(table: &Table, name: &str) -> String {
    let known: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    format!("table {} has no column {name}; it has {}", table.name, known.join(", "))
}

fn refusals(column: &TableColumn, ty: &Type) -> Vec<String> {
    let mut problems = Vec::new();
    if column.generated {
        problems.push(format!(
            "column {} is computed by the database: leave it out of columns",
            column.name
        ));
    }
    if let Err(why) = fits(ty, &column.ty) {
        problems
            .push(format!("column {} ({}) cannot take {ty}: {why}", column.name, column.declared));
    }
    problems
}

fn conflict_problems(
    table: &Table,
    options: &Options,
    on: &[String],
    update: &[String],
) -> Vec<String> {
    let mut problems = Vec::new();
    if on.is_empty() || update.is_empty() {
        problems.push("conflict needs at least one column in on and one in update".to_owned());
    }
    for name in on.iter().chain(update) {
        if !options.columns.iter().any(|(given, _)| given == name) {
            problems.push(format!("conflict names column {name}, which columns does not fill"));
        }
    }
    if !on.is_empty() && !table.is_unique(on) {
        problems.push(format!(
            "table {} has no unique index or primary key over exactly ({}), as conflict needs",
            table.name,
            on.join(", ")
        ));
    }
    problems.extend(grant("UPDATE", table, update, |column| column.may_update));
    problems.extend(grant("SELECT", table, on, |column| column.may_select));
    problems
}

/// What the table's owner must run so that we may do this to these columns.
fn grant<'c>(
    what: &str,
    table: &Table,
    columns: impl IntoIterator<Item = &'c String>,
    may: impl Fn(&TableColumn) -> bool,
) -> Option<String> {
    let refused = |name: &&String| table.column(name).is_some_and(|column| !may(column));
    let refused: Vec<&str> = columns.into_iter().filter(refused).map(String::as_str).collect();
    (!refused.is_empty()).then(|| {
        format!(
            "no {what} on column {}; as the table's owner run: GRANT {what} ON {} TO \"{}\"",
            refused.join(", "),
            table.name,
            table.role
        )
    })
}

/// May values of this type go into that column, each of them exactly or refused by itself?
fn fits(ty: &Type, column: &SqlType) -> Result<(), &'static str> {
    let ty = match ty {
        Type::Null => return Ok(()),
        Type::Optional(some) => &**some,
        other => other,
    };
    let fits = match column {
        SqlType::Postgres(column) => fits_postgres(ty, column),
        SqlType::Sqlite(affinity) => fits_sqlite(ty, *affinity),
    };
    match fits {
        true => Ok(()),
        false => Err(hint(ty, column)),
    }
}

fn fits_postgres(ty: &Type, column: &PostgresType) -> bool {
    use PostgresType as P;
    match (ty, column) {
        (Type::Bool, P::Bool)
        | (Type::Int, P::Int2 | P::Int4 | P::Int8 | P::Float8 | P::Numeric { .. })
        | (Type::Double, P::Float4 | P::Float8)
        | (Type::Decimal { .. }, P::Numeric { .. } | P::Int2 | P::Int4 | P::Int8)
        | (Type::Str, P::Text { .. } | P::Uuid | P::Json | P::Jsonb | P::Cast(_))
        | (Type::Enum(_), P::Text { .. } | P::Cast(_))
        | (Type::Bytes, P::Bytea)
        | (Type::Uuid, P::Uuid | P::Text { .. })
        | (Type::Date, P::Date)
        | (Type::Time, P::Time)
        | (Type::Timestamp, P::Timestamp | P::TimestampTz)
        | (Type::Duration, P::Interval) => true,
        (Type::List(_) | Type::Map(_) | Type::Record(_) | Type::Union(_), P::Json | P::Jsonb) => {
            super::json::can(ty)
        }
        _ => false,
    }
}

fn fits_sqlite(ty: &Type, affinity: Affinity) -> bool {
    use Affinity as A;
    match (ty, affinity) {
        (Type::Bool | Type::Int, A::Integer | A::Numeric | A::Blob)
        | (Type::Duration, A::Integer | A::Blob)
        | (Type::Double, A::Real | A::Blob)
        | (Type::Decimal { .. }, A::Text | A::Integer | A::Blob)
        | (Type::Str | Type::Enum(_), A::Text | A::Blob)
        | (Type::Bytes, A::Blob)
        | (Type::Uuid, A::Text | A::Blob)
        // The text of a date never looks like a number, so DATE and TIMESTAMP columns keep it.
        | (Type::Date | Type::Time | Type::Timestamp, A::Text | A::Numeric | A::Blob) => true,
        (Type::List(_) | Type::Map(_) | Type::Record(_) | Type::Union(_), A::Text | A::Blob) => {
            super::json::can(ty)
        }
        _ => false,
    }
}

fn hint(ty: &Type, column: &SqlType) -> &'static str {
    use Affinity as A;
    match (ty, column) {
        (_, SqlType::Postgres(PostgresType::Unsupported)) => {
            "columns of this type are not supported; use another type for the column"
        }
        (Type::Decimal { .. }, SqlType::Postgres(PostgresType::Float4 | PostgresType::Float8)) => {
            "a decimal is not exact there; make the column numeric"
        }
        (Type::Double, SqlType::Postgres(PostgresType::Numeric { .. })) => {
            "a double is not exact; make the column double precision, or the value a decimal"
        }
        (Type::Decimal { .. }, SqlType::Sqlite(A::Real | A::Numeric)) => {
            "SQLite would make a float of it and lose exactness; declare the column TEXT, or INTEGER \
             and give it a whole number (such as cents: value * 100)"
        }
        (Type::Str | Type::Enum(_), SqlType::Sqlite(A::Integer | A::Real | A::Numeric)) => {
            "SQLite would make a number of text that looks like one; declare the column TEXT"
        }
        (Type::List(_) | Type::Map(_) | Type::Record(_) | Type::Union(_), _) => {
            "nested values go into json or jsonb (in SQLite TEXT), unions only of kinds that JSON tells \
             apart"
        }
        _ => OTHERWISE,
    }
}

const OTHERWISE: &str = "convert the value by an expression, or change the column's type";

#[cfg(test)]
mod tests {
    use super::super::Slot;
    use super::*;

    fn column(name: &str, ty: SqlType) -> TableColumn {
        TableColumn {
            name: name.to_owned(),
            declared: "declared".to_owned(),
            ty,
            not_null: true,
            has_default: false,
            generated: false,
            may_insert: true,
            may_update: true,
            may_select: true,
        }
    }

    fn table() -> Table {
        let int = || SqlType::Postgres(PostgresType::Int8);
        Table {
            name: "public.orders".to_owned(),
            columns: vec![
                column("id", int()),
                TableColumn { may_insert: false, ..column("locked", int()) },
                TableColumn { generated: true, ..column("twice", int()) },
                column("must", int()),
            ],
            unique: vec![vec!["id".to_owned()]],
            role: "clerk".to_owned(),
        }
    }

    fn options(columns: &[(&str, Type)], conflict: Conflict) -> Options {
        Options {
            table: "orders".to_owned(),
            columns: columns
                .iter()
                .enumerate()
                .map(|(slot, (name, ty))| {
                    let source: Arc<dyn Column> = Arc::new(Slot { slot, ty: ty.clone() });
                    ((*name).to_owned(), source)
                })
                .collect(),
            conflict,
        }
    }

    fn problems(columns: &[(&str, Type)], conflict: Conflict) -> Vec<String> {
        plan(&table(), &options(columns, conflict)).err().unwrap_or_default()
    }

    #[test]
    fn all_problems_are_said_at_once_each_with_what_to_do() {
        let found = problems(
            &[
                ("id", Type::Str),
                ("locked", Type::Int),
                ("twice", Type::Int),
                ("idd", Type::Int),
                ("id", Type::Int),
            ],
            Conflict::Update { on: vec!["locked".to_owned()], update: vec!["must".to_owned()] },
        );
        let expected = [
            "column id (declared) cannot take string",
            "no INSERT on column locked; as the table's owner run: GRANT INSERT",
            "column twice is computed",
            "has no column idd; it has id, locked, twice, must",
            "column id is given twice",
            "column must takes no null and has no default",
            "conflict names column must",
            "no unique index or primary key over exactly (locked)",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for expected in expected {
            assert!(found.iter().any(|found| found.contains(expected)), "{expected}: {found:#?}");
        }
    }

    #[test]
    fn a_table_that_fits_has_no_problem() {
        let conflict =
            Conflict::Update { on: vec!["id".to_owned()], update: vec!["must".to_owned()] };
        let mut table = table();
        table.columns.retain(|column| column.may_insert);
        let options = options(&[("id", Type::Int), ("must", Type::Int)], conflict);
        assert!(plan(&table, &options).is_ok());
    }

    #[test]
    fn sqlite_takes_a_decimal_only_where_it_stays_exact() {
        let decimal = Type::Decimal { precision: 15, scale: 2 };
        for (affinity, fit) in [
            (Affinity::Text, true),
            (Affinity::Integer, true),
            (Affinity::Numeric, false),
            (Affinity::Real, false),
        ] {
            assert_eq!(fits(&decimal, &SqlType::Sqlite(affinity)).is_ok(), fit, "{affinity:?}");
        }
    }
}
