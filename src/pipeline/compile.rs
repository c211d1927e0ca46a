//! A pipeline file compiled against its reader schema: pure, for `run`, `test` and `lint` alike.
//!
//! ```text
//! full shape ──check──▶ stages and columns ──uses──▶ projected shape ──narrow──▶ the same, by its slots
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::order::Order;
use super::sending::Sending;
use super::spec::{self, Problem, Problems, Text};
use crate::codec::Schema;
use crate::config::grammar::nearest;
use crate::database::SqlText;
use crate::expr::{self, Env, Program, Source};
use crate::port::SchemaText;
use crate::record::{End, Fault, Name, Scope, Shape, Type, Uses, Value};
use crate::sink::sql::{Column, Slot};
use crate::sink::{archive, mail};
use crate::stage::{self, Chain};

/// A pipeline as it runs on decoded fields.
pub struct Compiled {
    /// The schema under which events are read.
    pub reader: Schema,
    /// What must be decoded.
    pub uses: Uses,
    /// The names besides fields that somebody reads.
    pub names: Vec<Name>,
    /// The stages, on the projected shape.
    pub chain: Chain,
    /// What the sink takes of each event: names and values.
    pub columns: Vec<(String, Arc<dyn Column>)>,
    /// The statement that runs for each event; its parameters are among the columns.
    pub statement: Option<Arc<SqlText>>,
    /// What a mail says of each event; in place of columns.
    pub mail: Option<Arc<mail::Templates>>,
    /// How records are written to topics, by a topic sink.
    pub sending: Option<Arc<Sending>>,
    /// The event's id, where the file says one.
    pub id: Option<Arc<Program>>,
    /// What keeps the order of records in lanes.
    pub order: Order,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("reader", &self.reader.name()).finish_non_exhaustive()
    }
}

/// Compiles a file against a schema.
///
/// # Errors
/// Everything in the file that does not fit the schema, with its place; a schema that cannot be used, with
/// the place that names it.
pub fn compile(pipeline: &spec::Pipeline, text: &SchemaText) -> Result<Compiled, Problems> {
    let file = pipeline.file.as_path();
    let reader = parse(pipeline, text)?;
    let key = super::reader::key_type(pipeline.source.key_type);
    let options: Vec<stage::Options> = pipeline.stages.iter().filter_map(options).collect();
    let full = Arc::new(reader.shape());
    let env = Env::new(Arc::clone(&full), key.clone());
    let mut problems = Problems::default();
    let id = pipeline.id.as_ref().and_then(|id| program(file, id, &env, &mut problems));
    let key_program = pipeline.key.as_ref().and_then(|key| program(file, key, &env, &mut problems));
    let checked = stages(file, options, &full, &key, &mut problems);
    let Some(checked) = checked else { return Err(problems) };
    let wanted = wanted(pipeline);
    let after = env.with_event(Arc::clone(checked.output()));
    let sink = Sources::check(file, wanted, &after, &mut problems);
    let statement = statement(pipeline, &after, &mut problems);
    let mail = templates(pipeline, &after, &mut problems);
    let sending = Sending::of(pipeline, &after, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    // What nobody reads is not decoded: everything is compiled again on what is left.
    let mut names: BTreeSet<Name> = checked.names();
    let used = used(&sink, sending.as_ref(), mail.as_deref(), &mut names);
    if let spec::Sink::Archive(archive) = &pipeline.sink {
        names.extend(archive::Entries::NAMES);
        archive::check(&archive.to, checked.output())
            .map_err(|why| Problem::new(file, pipeline.places.sink, why))?;
    }
    let mut uses = checked.uses(&used);
    if let Some(id) = &id {
        uses = uses.union(id.uses().clone());
        names.extend(id.names());
        names.remove(&Name::Id);
    }
    if let Some(key) = &key_program {
        uses = uses.union(key.uses().clone());
        names.extend(key.names());
    }
    let broken = |what: String| Problems::from(Problem::new(file, spec::Place::WHOLE, what));
    let shape = reader.projected(&uses).map_err(|e| broken(e.to_string()))?;
    let shape = Arc::new(shape);
    let chain = checked.narrow(&shape).map_err(|e| broken(format!("{e:?}")))?;
    let env = Env::new(shape, key);
    let after = env.with_event(Arc::clone(chain.output()));
    let id = pipeline.id.as_ref().and_then(|id| program(file, id, &env, &mut problems));
    let order = match &pipeline.key {
        Some(text) => program(file, text, &env, &mut problems).map(Order::Expression),
        None => Some(Order::Key),
    };
    let order = order.unwrap_or_default();
    let columns = Sources::check(file, wanted, &after, &mut problems).columns;
    let mail = templates(pipeline, &after, &mut problems);
    let sending = Sending::of(pipeline, &after, &mut problems).map(Arc::new);
    let names = names.into_iter().collect();
    problems.or(Compiled {
        reader,
        uses,
        names,
        chain,
        columns,
        statement,
        mail,
        sending,
        id,
        order,
    })
}

/// The stages, or as many as shape the event when others are wrong.
fn stages(
    file: &Path,
    options: Vec<stage::Options>,
    full: &Arc<Shape>,
    key: &Type,
    problems: &mut Problems,
) -> Option<Chain> {
    match stage::build(&options, full, key) {
        Ok(chain) => Some(chain),
        Err(errors) => {
            for error in errors {
                let at = spec::Place::new(error.line, error.column);
                problems.push(Problem::new(file, at, error.to_string()));
            }
            // The sink is looked at too, where the stages that make its event are right.
            let shaping: Vec<_> = options.into_iter().filter(stage::changes_shape).collect();
            stage::build(&shaping, full, key).ok()
        }
    }
}

/// What the sink reads of an event; the names besides fields are added.
fn used(
    sink: &Sources,
    sending: Option<&Sending>,
    mail: Option<&mail::Templates>,
    names: &mut BTreeSet<Name>,
) -> Uses {
    names.extend(sink.names());
    let mut used = sink.uses();
    if let Some(sending) = sending {
        names.extend(sending.names());
        used = used.union(sending.uses());
    }
    if let Some(mail) = mail {
        names.extend(mail.names());
        used = used.union(mail.uses().clone());
    }
    used
}

fn parse(pipeline: &spec::Pipeline, text: &SchemaText) -> Result<Schema, Problems> {
    let references: Vec<&str> = text.references.iter().map(|r| r.text.as_str()).collect();
    Schema::parse(&text.text, &references).map_err(|e| {
        let subject = &pipeline.source.schema;
        let what = format!("the schema of {} cannot be used: {e}", subject.as_str());
        Problem::new(&pipeline.file, subject.at, what).into()
    })
}

/// What the sink asks for: columns with their expressions, or all fields by their names.
type Wanted<'a> = Option<&'a [(String, Text)]>;

fn wanted(pipeline: &spec::Pipeline) -> Wanted<'_> {
    match &pipeline.sink {
        spec::Sink::Sql(spec::Sql { statement: spec::Statement::Insert(insert), .. }) => {
            insert.columns.as_deref()
        }
        spec::Sink::Mail(_) => Some(&[]),
        _ => None,
    }
}

/// Where the sink's values come from.
struct Sources {
    columns: Vec<(String, Arc<dyn Column>)>,
    programs: Vec<Arc<Program>>,
    fields: Vec<String>,
}

impl Sources {
    fn check(file: &Path, wanted: Wanted<'_>, env: &Env, problems: &mut Problems) -> Self {
        let mut this = Self { columns: Vec::new(), programs: Vec::new(), fields: Vec::new() };
        match wanted {
            Some(columns) => {
                for (name, text) in columns {
                    if let Some(program) = program(file, text, env, problems) {
                        this.programs.push(Arc::clone(&program));
                        this.columns.push((name.clone(), Arc::new(Expression(program))));
                    }
                }
            }
            None => {
                for (slot, field) in env.event().fields.iter().enumerate() {
                    let column = Slot { slot, ty: field.ty.clone() };
                    this.columns.push((field.name.clone(), Arc::new(column)));
                    this.fields.push(field.name.clone());
                }
            }
        }
        this
    }

    fn uses(&self) -> Uses {
        let mut uses = Uses::nothing();
        for field in &self.fields {
            uses.add(&[field]);
        }
        self.programs.iter().fold(uses, |uses, program| uses.union(program.uses().clone()))
    }

    fn names(&self) -> impl Iterator<Item = Name> {
        self.programs.iter().flat_map(|program| program.names().iter().copied())
    }
}

/// The statement of `execute`; each of its parameters is a field of the event.
fn statement(
    pipeline: &spec::Pipeline,
    env: &Env,
    problems: &mut Problems,
) -> Option<Arc<SqlText>> {
    let spec::Sink::Sql(spec::Sql { statement: spec::Statement::Execute(said), .. }) =
        &pipeline.sink
    else {
        return None;
    };
    let file = pipeline.file.as_path();
    let statement = match SqlText::parse(said.sql.as_str()) {
        Ok(statement) => statement,
        Err(flaws) => {
            for flaw in flaws {
                let problem = Problem::new(file, said.sql.place(flaw.at), flaw.what);
                problems.push(problem.hint(flaw.hint));
            }
            return None;
        }
    };
    let known: Vec<&str> = env.event().fields.iter().map(|field| field.name.as_str()).collect();
    for name in statement.names().iter().filter(|name| !known.contains(&name.name.as_str())) {
        let what = format!("the event has no field `{}`", name.name);
        let hint = match nearest(&name.name, known.iter().copied()) {
            Some(near) => format!("did you mean `:{near}`?"),
            None => format!("it has: {}", known.join(", ")),
        };
        problems.push(Problem::new(file, said.sql.place(name.at), what).hint(hint));
    }
    Some(Arc::new(statement))
}

/// The templates of a mail sink.
fn templates(
    pipeline: &spec::Pipeline,
    env: &Env,
    problems: &mut Problems,
) -> Option<Arc<mail::Templates>> {
    let spec::Sink::Mail(said) = &pipeline.sink else { return None };
    let texts = mail::Texts {
        from: said.from.clone(),
        to: said.to.clone(),
        subject: said.subject.clone(),
        text: said.text.clone(),
        html: said.html.clone(),
    };
    match mail::Templates::compile(&pipeline.file, &texts, env) {
        Ok(templates) => Some(Arc::new(templates)),
        Err(found) => {
            problems.append(found);
            None
        }
    }
}

pub(super) fn program(
    file: &Path,
    text: &Text,
    env: &Env,
    problems: &mut Problems,
) -> Option<Arc<Program>> {
    match expr::compile(text.as_str(), env) {
        Ok(program) => Some(Arc::new(program)),
        Err(errors) => {
            for error in errors {
                problems.push(Problem::new(file, text.place(error.offset), error.to_string()));
            }
            None
        }
    }
}

/// An expression as a column.
struct Expression(Arc<Program>);

impl Column for Expression {
    fn ty(&self) -> &Type {
        self.0.ty()
    }

    fn value<'a>(&self, scope: &Scope<'a>) -> Result<Value<'a>, End> {
        self.0.eval(scope).map_err(|error| {
            let reason = format!("column expression `{}`: {error}", self.0.text());
            End::Fault(Fault::poison("expression", reason))
        })
    }
}

fn source(text: &Text) -> Source {
    Source::new(text.as_str(), text.at.line, text.at.column)
}

fn fields(named: &[(String, Text)]) -> Vec<(String, Source)> {
    named.iter().map(|(name, text)| (name.clone(), source(text))).collect()
}

/// A stage as the room `stage` takes it; `None`: it is not built yet, and the grammar has refused it.
fn options(stage: &spec::Stage) -> Option<stage::Options> {
    Some(match stage {
        spec::Stage::Filter(rule) => {
            stage::Options::Filter(stage::filter::Options { rule: source(rule) })
        }
        spec::Stage::Check { rule, reason } => stage::Options::Check(stage::check::Options {
            rule: source(rule),
            reason: reason.clone(),
        }),
        spec::Stage::Map(named) => {
            stage::Options::Map(stage::map::Options { fields: fields(named) })
        }
        spec::Stage::Set(named) => {
            stage::Options::Set(stage::set::Options { fields: fields(named) })
        }
        spec::Stage::Keep(kept) => {
            stage::Options::Keep(stage::keep::Options { fields: kept.iter().map(source).collect() })
        }
        spec::Stage::Drop(left) => {
            stage::Options::Drop(stage::drop::Options { fields: left.iter().map(source).collect() })
        }
        spec::Stage::Unnest { field, as_ } => stage::Options::Unnest(stage::unnest::Options {
            field: source(field),
            item: as_.clone(),
        }),
        spec::Stage::Dedup { by, window } => stage::Options::Dedup(stage::dedup::Options {
            by: by.as_ref().map(source),
            window: *window,
        }),
        spec::Stage::Route(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::case;

    const INVENTORY: &str = include_str!("../../pipelines/inventory.yaml");
    const CONTRACT: &str = include_str!("../../avro/orders.created-value/1.avsc");

    fn compiled(text: &str) -> Result<(spec::Pipeline, Compiled), Problems> {
        let pipeline = spec::parse(Path::new("p.yaml"), text.as_bytes())?;
        let schema = SchemaText { text: CONTRACT.to_owned(), references: Vec::new() };
        let compiled = compile(&pipeline, &schema)?;
        Ok((pipeline, compiled))
    }

    #[test]
    fn every_name_of_a_statement_that_the_event_does_not_have_is_told_at_its_place() {
        let wrong = INVENTORY.replace("WHERE sku = :sku", "WHERE sku = :skuu AND shelf = :colour");
        let Err(problems) = compiled(&wrong) else { panic!("taken") };
        assert_eq!(
            problems.to_string(),
            "p.yaml:11:77: the event has no field `skuu`; did you mean `:sku`?\n\
             p.yaml:11:95: the event has no field `colour`; it has: order_id, sku, quantity"
        );
    }

    #[test]
    fn a_row_that_changes_one_of_its_own_batch_is_an_effect_of_its_own() {
        let text = "name: last-orders
source: { topic: orders.created }
sink: { sql: { database: d, insert: { table: t, columns: { sku: event.product_name, quantity: event.quantity },
        conflict: { on: [ sku ], update: [ quantity ] } } } }
cases:
  - name: the later order is the one that stays
    given:
      - { order_id: 0190a1b2-0000-7000-8000-000000000001, product_name: lamp, quantity: 2, created_at: 2026-01-05T10:00:00Z }
      - { order_id: 0190a1b2-0000-7000-8000-000000000002, product_name: lamp, quantity: 3, created_at: 2026-01-05T10:00:00Z }
    expect: { effects: [ { sku: lamp, quantity: 2 }, { sku: lamp, quantity: 3 } ] }
";
        let Ok((pipeline, compiled)) = compiled(text) else { panic!("refused") };
        assert_eq!(case::run(&pipeline, &Arc::new(compiled), &pipeline.cases[0]), []);
    }
}
