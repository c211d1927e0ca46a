//! What a mail says, as templates over an event: checked when the file is read, rendered within bounds.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value as Shown};

use super::address::Mailbox;
use super::letter::Letter;
use super::{clean, paths, values};
use crate::config::yaml::Text;
use crate::config::{Problem, Problems};
use crate::expr::Env;
use crate::record::{End, Fault, Name, Scope, Shape, Type, Uses, Value};

/// The templates of a mail with their places in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// The sender.
    pub from: Text,
    /// The recipient.
    pub to: Text,
    /// The subject.
    pub subject: Text,
    /// The text.
    pub text: Text,
    /// The same as HTML: values are escaped in it.
    pub html: Option<Text>,
}

/// The templates, ready to be rendered.
pub struct Templates {
    engine: Environment<'static>,
    html: bool,
    fields: Vec<Field>,
    names: BTreeSet<Name>,
    uses: Uses,
    key: Type,
}

/// A field of the event that some template says.
struct Field {
    name: String,
    slot: usize,
    ty: Type,
}

const FROM: &str = "from";
const TO: &str = "to";
const SUBJECT: &str = "subject";
const TEXT: &str = "text";
const HTML: &str = "html";

/// What one template may use up: about so many steps, and 64 bytes of memory for each.
const FUEL: u64 = 100_000;
/// How deep blocks may stand in each other.
const DEPTH_MAX: usize = 100;
/// The most bytes that one template may make.
const BYTES_MAX: usize = 256 << 10;

/// Said of a value that would be printed as `none`.
const NULL: &str = "null has no text: write what to say instead, such as `{{ event.note or '' }}`";

impl Templates {
    /// Reads the templates and checks what they say of an event.
    ///
    /// # Errors
    /// Everything that is wrong, where it stands in `file`: syntax, unknown fields and names, unknown filters
    /// (as far as a sample reaches them), a fixed address that is none.
    pub fn compile(file: &Path, texts: &Texts, env: &Env) -> Result<Self, Problems> {
        let mut reading = Reading::new(file, env);
        for (name, text) in texts.parts() {
            reading.add(name, text);
        }
        reading.problems.or(())?;
        let mut this = Self {
            engine: reading.engine,
            html: texts.html.is_some(),
            fields: fields(env.event(), &reading.uses),
            names: reading.names,
            uses: reading.uses,
            key: env.key().clone(),
        };
        // A mail's Message-ID is made of it.
        this.names.insert(Name::Id);
        this.try_out(file, texts)?;
        Ok(this)
    }

    /// What is used of the event.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// The names besides fields that are used.
    pub fn names(&self) -> &BTreeSet<Name> {
        &self.names
    }

    /// The letter that an event gives.
    ///
    /// # Errors
    /// `Poison`: a template fails on it or makes too much; sender or recipient is not exactly one address.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Letter, End> {
        self.letter(&self.context(scope)).map_err(End::Fault)
    }

    fn letter(&self, context: &Shown) -> Result<Letter, Fault> {
        let mailbox = |name| {
            Mailbox::parse(&self.part(name, context)?).map_err(|why| {
                let reason = format!("what `{name}` gives is not one e-mail address: it {why}");
                Fault::poison("mail_address", reason)
            })
        };
        Ok(Letter {
            from: mailbox(FROM)?,
            to: mailbox(TO)?,
            subject: clean::line(&self.part(SUBJECT, context)?),
            text: clean::body(&self.part(TEXT, context)?),
            html: match self.html {
                true => Some(clean::body(&self.part(HTML, context)?)),
                false => None,
            },
        })
    }

    fn part(&self, name: &str, context: &Shown) -> Result<String, Fault> {
        let render = || self.engine.get_template(name)?.render(context.clone());
        let text = render().map_err(|error| {
            let line = error.line().unwrap_or(1);
            let reason = format!("template `{name}`, line {line}: {}", without_content(&error));
            Fault::poison("mail_template", reason)
        })?;
        if text.len() > BYTES_MAX {
            let reason = format!("template `{name}` makes more than {BYTES_MAX} bytes");
            return Err(Fault::poison("mail_too_large", reason));
        }
        Ok(text)
    }

    /// Only what some template says is made.
    fn context(&self, scope: &Scope<'_>) -> Shown {
        let optional = |ty| Type::Optional(Box::new(ty));
        let of = |name: &Name| match name {
            Name::Event => ("event", self.event(scope)),
            Name::Key => ("key", values::shown(&self.key, &scope.key)),
            Name::Id => ("id", values::shown(&optional(Type::Str), &scope.id)),
            Name::Headers => ("headers", values::headers(&scope.headers)),
            Name::Topic => ("topic", values::shown(&Type::Str, &scope.topic)),
            Name::Partition => ("partition", values::shown(&Type::Int, &scope.partition)),
            Name::Offset => ("offset", values::shown(&Type::Int, &scope.offset)),
            Name::Timestamp => {
                ("timestamp", values::shown(&optional(Type::Timestamp), &scope.timestamp))
            }
        };
        Shown::from_pairs(self.names.iter().map(of))
    }

    fn event(&self, scope: &Scope<'_>) -> Shown {
        Shown::from_pairs(self.fields.iter().map(|field| {
            let value = scope.event.get(field.slot).copied().unwrap_or(Value::Null);
            (field.name.as_str(), values::shown(&field.ty, &value))
        }))
    }

    /// Tries the templates on a sample: what no event could make right is wrong in the file.
    fn try_out(&self, file: &Path, texts: &Texts) -> Result<(), Problems> {
        let mut problems = Problems::default();
        let fields = self.fields.iter();
        let event = fields.map(|field| (field.name.as_str(), values::sample(&field.ty)));
        let event = Shown::from_pairs(event);
        let sample = self.names.iter().map(|name| sample(*name, &event, &self.key));
        let sample = Shown::from_pairs(sample);
        for (name, text) in texts.parts() {
            let Ok(template) = self.engine.get_template(name) else { continue };
            let fixed = template.undeclared_variables(false).is_empty();
            match template.render(sample.clone()) {
                Err(error) if of_the_file(error.kind()) => {
                    problems.push(problem(file, text, &error))
                }
                Ok(text_made) if fixed && [FROM, TO].contains(&name) => {
                    if let Err(why) = Mailbox::parse(&text_made) {
                        let what =
                            format!("`sink.mail.{name}` is not one e-mail address: it {why}");
                        let hint = "for example 'Shop <shop@example.com>'";
                        problems.push(Problem::new(file, text.at, what).hint(hint));
                    }
                }
                _ => {}
            }
        }
        problems.or(())
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates").field("uses", &self.uses).finish_non_exhaustive()
    }
}

impl Texts {
    fn parts(&self) -> impl Iterator<Item = (&'static str, &Text)> {
        let html = self.html.iter().map(|text| (HTML, text));
        [(FROM, &self.from), (TO, &self.to), (SUBJECT, &self.subject), (TEXT, &self.text)]
            .into_iter()
            .chain(html)
    }
}

/// Templates on their way into an engine.
struct Reading<'a> {
    file: &'a Path,
    env: &'a Env,
    engine: Environment<'static>,
    names: BTreeSet<Name>,
    uses: Uses,
    problems: Problems,
}

impl<'a> Reading<'a> {
    fn new(file: &'a Path, env: &'a Env) -> Self {
        Self {
            file,
            env,
            engine: engine(),
            names: BTreeSet::new(),
            uses: Uses::nothing(),
            problems: Problems::default(),
        }
    }

    fn add(&mut self, name: &'static str, text: &Text) {
        if let Err(error) = self.engine.add_template_owned(name, text.text.clone()) {
            return self.problems.push(problem(self.file, text, &error));
        }
        let Ok(template) = self.engine.get_template(name) else { return };
        let paths: BTreeSet<String> = template.undeclared_variables(true).into_iter().collect();
        for path in paths {
            match paths::resolve(&path, self.env, &mut self.uses) {
                Ok(name) => self.names.extend(name),
                Err(unknown) => {
                    let at = text.place(paths::place(text.as_str(), &path, unknown.part));
                    let problem = Problem::new(self.file, at, unknown.what);
                    self.problems.push(match unknown.hint {
                        Some(hint) => problem.hint(hint),
                        None => problem,
                    });
                }
            }
        }
    }
}

/// An engine that reads no files, knows no other templates, and ends.
fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|name| match name {
        HTML => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    engine.set_formatter(|out, state, value| match value.is_none() {
        true => Err(Error::new(ErrorKind::InvalidOperation, NULL)),
        false => minijinja::escape_formatter(out, state, value),
    });
    engine.set_debug(false);
    engine.set_fuel(Some(FUEL));
    engine.set_recursion_limit(DEPTH_MAX);
    // It prints everything that there is.
    engine.remove_global("debug");
    engine
}

fn fields(event: &Shape, uses: &Uses) -> Vec<Field> {
    let used =
        event.fields.iter().enumerate().filter(|(_, field)| uses.below(&field.name).is_some());
    used.map(|(slot, field)| Field { name: field.name.clone(), slot, ty: field.ty.clone() })
        .collect()
}

fn sample(name: Name, event: &Shown, key: &Type) -> (&'static str, Shown) {
    match name {
        Name::Event => ("event", event.clone()),
        Name::Key => ("key", values::sample(key)),
        Name::Id => ("id", values::sample(&Type::Str)),
        Name::Headers => ("headers", values::sample(&Type::Map(Box::new(Type::Str)))),
        Name::Topic => ("topic", values::sample(&Type::Str)),
        Name::Partition => ("partition", values::sample(&Type::Int)),
        Name::Offset => ("offset", values::sample(&Type::Int)),
        Name::Timestamp => ("timestamp", values::sample(&Type::Timestamp)),
    }
}

/// Is it the file's fault, whatever the event?
fn of_the_file(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::TooManyArguments
            | ErrorKind::MissingArgument
    )
}

fn problem(file: &Path, text: &Text, error: &Error) -> Problem {
    let at = match (error.range(), error.line()) {
        (Some(range), _) => text.place(range.start),
        (None, Some(line)) => text.place_of(line, 1),
        (None, None) => text.at,
    };
    Problem::new(file, at, without_content(error))
}

/// An error without what the event says.
fn without_content(error: &Error) -> String {
    match error.detail() {
        Some(NULL) => NULL.to_owned(),
        Some(detail) if of_the_file(error.kind()) => format!("{}: {detail}", error.kind()),
        _ => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bumpalo::Bump;

    use super::*;
    use crate::config::Place;

    fn env() -> Env {
        let field = |name: &str, ty| crate::record::Field { name: name.into(), ty };
        let shape = Shape {
            name: "Order".into(),
            fields: vec![
                field("order_id", Type::Uuid),
                field("product_name", Type::Str),
                field("quantity", Type::Int),
                field("note", Type::Optional(Box::new(Type::Str))),
                field("price", Type::Decimal { precision: 15, scale: 2 }),
            ],
        };
        Env::new(Arc::new(shape), Type::Optional(Box::new(Type::Str)))
    }

    fn texts(subject: &str, text: &str, html: Option<&str>) -> Texts {
        let at = |text: &str, line| Text::new(text, Place::new(line, 10));
        Texts {
            from: at("Shop <shop@shop.example>", 1),
            to: at("{{ event.order_id }}@customers.example", 2),
            subject: at(subject, 3),
            text: at(text, 4),
            html: html.map(|html| at(html, 5)),
        }
    }

    fn compile(texts: &Texts) -> Result<Templates, String> {
        Templates::compile(Path::new("m.yaml"), texts, &env()).map_err(|p| p.to_string())
    }

    fn render(texts: &Texts, product: &str, note: Value<'_>) -> Result<Letter, String> {
        let bump = Bump::new();
        let event = [
            Value::Uuid(uuid::Uuid::nil()),
            Value::Str(product),
            Value::Int(2),
            note,
            Value::Decimal(rust_decimal::Decimal::new(1250, 2)),
        ];
        let mut scope = Scope::of(&event, &bump);
        scope.timestamp = Value::Timestamp(1_767_607_200_000_000);
        scope.headers = Value::Map(bump.alloc_slice_copy(&[("trace", Value::Bytes(b"t1"))]));
        compile(texts)?.render(&scope).map_err(|end| end.to_string())
    }

    #[test]
    fn an_event_becomes_a_letter() {
        let texts = texts(
            "{{ event.quantity }} × {{ event.product_name }}",
            "{{ event.price }} at {{ timestamp }}\n{% if event.note %}{{ event.note }}{% endif %}\n{{ headers.trace }}\n",
            Some("<b>{{ event.product_name }}</b>"),
        );
        let letter = render(&texts, "<lamp> & co", Value::Null).unwrap();
        assert_eq!(letter.from.to_string(), "Shop <shop@shop.example>");
        assert_eq!(letter.to.to_string(), "00000000-0000-0000-0000-000000000000@customers.example");
        assert_eq!(letter.subject, "2 × <lamp> & co");
        assert_eq!(letter.text, "12.50 at 2026-01-05T10:00:00Z\n\nt1");
        assert_eq!(letter.html.as_deref(), Some("<b>&lt;lamp&gt; &amp; co</b>"));
    }

    #[test]
    fn only_what_is_used_is_decoded() {
        let used =
            compile(&texts("{{ event.quantity }}", "{{ topic }} {{ range(2) }}", None)).unwrap();
        let mut expected = Uses::nothing();
        expected.add(&["order_id"]);
        expected.add(&["quantity"]);
        assert_eq!(used.uses(), &expected);
        let names: Vec<_> = used.names().iter().copied().collect();
        assert_eq!(names, [Name::Event, Name::Id, Name::Topic]);
        assert_eq!(compile(&texts("{{ event }}", "x", None)).unwrap().uses(), &Uses::All);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_where_it_stands() {
        for (subject, text, expected) in [
            (
                "a {{ event.quantty }}",
                "x",
                "m.yaml:3:21: `event` has no field `quantty`; did you mean `quantity`?",
            ),
            (
                "{{ quantity }}",
                "x",
                "m.yaml:3:13: unknown name `quantity`; did you mean `event.quantity`?",
            ),
            (
                "{{ event.quantity | uper }}",
                "x",
                "m.yaml:3:30: unknown filter: filter uper is unknown",
            ),
            ("{% include 'x' %}", "x", "m.yaml:3:13: syntax error: unknown statement include"),
            (
                "{{ debug() }}",
                "x",
                "m.yaml:3:13: unknown name `debug`; there are: event, key, id, headers, topic, partition, offset, timestamp",
            ),
        ] {
            assert_eq!(compile(&texts(subject, text, None)).err().as_deref(), Some(expected));
        }
        let said = compile(&texts("x", "{{ event.quantity", None)).unwrap_err();
        assert!(said.starts_with("m.yaml:4:") && said.contains("syntax error"), "{said}");
        let wrong = Texts { from: Text::new("shop", Place::new(1, 10)), ..texts("x", "x", None) };
        assert_eq!(
            compile(&wrong).unwrap_err(),
            "m.yaml:1:10: `sink.mail.from` is not one e-mail address: it has no `@`; for example 'Shop <shop@example.com>'"
        );
    }

    #[test]
    fn what_cannot_be_a_mail_is_poison_and_does_not_repeat_the_event() {
        for (text, to, expected) in [
            (
                "{{ event.note }}",
                None,
                "poison (mail_template): template `text`, line 1: null has no text",
            ),
            (
                "{{ headers.nope }}",
                None,
                "poison (mail_template): template `text`, line 1: undefined value",
            ),
            (
                "{{ event.product_name + 1 }}",
                None,
                "poison (mail_template): template `text`, line 1: invalid operation",
            ),
            (
                "{% for i in range(100000) %}{{ i }}{% endfor %}",
                None,
                "poison (mail_template): template `text`, line 1: engine ran out of fuel",
            ),
            (
                "{{ 'x' * 300000 }}",
                None,
                "poison (mail_too_large): template `text` makes more than 262144 bytes",
            ),
            (
                "x",
                Some("{{ event.product_name }}"),
                "poison (mail_address): what `to` gives is not one e-mail address: it has no `@`",
            ),
        ] {
            let mut texts = texts("x", text, None);
            if let Some(to) = to {
                texts.to = Text::new(to, Place::new(2, 1));
            }
            let said = render(&texts, "canary", Value::Null).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
            assert!(!said.contains("canary"), "{said}");
        }
    }
}
