//! From file, environment and flags to a [`Config`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::build;
use super::grammar::{Check, Is};
use super::keys::{KEYS, Setting, settings};
use super::yaml::{self, Node};
use super::{Config, Place, Problem, Problems};

/// The file's name where nobody says another.
pub const FILE: &str = "ordermill.yaml";

/// What goes before the file.
#[derive(Clone)]
pub struct Overrides {
    /// Values of flags by the paths of their settings, such as `kafka.bootstrap`. They go before variables.
    pub flags: Vec<(&'static str, String)>,
    /// Environment variables: settings and secrets are looked up here.
    pub environment: BTreeMap<String, String>,
    /// Look secrets up? Not for commands that connect to nothing: they need no secrets to be there.
    pub secrets: bool,
}

impl Overrides {
    /// No flags, no variables.
    pub fn none() -> Self {
        Self { flags: Vec::new(), environment: BTreeMap::new(), secrets: true }
    }

    /// The process's environment.
    pub fn from_environment() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { environment: std::env::vars_os().filter_map(text).collect(), ..Self::none() }
    }

    /// The same with a flag, if it was given.
    #[must_use]
    pub fn flag(mut self, path: &'static str, value: Option<impl ToString>) -> Self {
        self.flags.extend(value.map(|value| (path, value.to_string())));
        self
    }

    /// What is set here, by path, and by whom: a flag or an environment variable.
    pub fn set(&self) -> Vec<(String, String)> {
        let by = |setting: Setting| {
            let flag = self.flags.iter().any(|(path, _)| *path == setting.path);
            let variable = self.environment.get(&setting.variable).is_some_and(|v| !v.is_empty());
            match (flag, variable) {
                (true, _) => Some((setting.path, "a flag".to_owned())),
                (false, true) => Some((setting.path, setting.variable)),
                (false, false) => None,
            }
        };
        settings().into_iter().filter_map(by).collect()
    }

    /// The same without looking secrets up.
    #[must_use]
    pub fn without_secrets(self) -> Self {
        Self { secrets: false, ..self }
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.flags.iter().map(|(path, _)| *path).collect();
        write!(f, "Overrides {{ flags: {names:?}, variables: {} }}", self.environment.len())
    }
}

/// Reads `ordermill.yaml` (nothing: only defaults), with variables and flags before it.
///
/// # Errors
/// Everything that is wrong with any of them, each where it stands; never with a secret in it.
pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Config, Problems> {
    let file = path.unwrap_or_else(|| Path::new(FILE));
    let mut root = match path {
        Some(path) => yaml::read_file(path, yaml::BYTES_MAX).map_or_else(absent_or_empty, Ok)?,
        None => Node::map(Place::WHOLE),
    };
    let mut check = Check::new(file).discreet();
    check.root(&root, &KEYS);
    let mut problems = check.problems;
    for setting in settings() {
        match overridden(&setting, overrides) {
            Ok(Some(value)) => root.put(&setting.path, value),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    for (path, _) in &overrides.flags {
        if !settings().iter().any(|setting| setting.path == *path && !setting.secret) {
            problems.push(Problem::new(&flag_name(path), Place::WHOLE, "no flag sets this"));
        }
    }
    build::config(path, &root, overrides, problems)
}

/// A file of comments only is a file that sets nothing.
fn absent_or_empty(problems: Problems) -> Result<Node, Problems> {
    match problems.iter().next() {
        Some(problem) if problem.what == yaml::EMPTY => Ok(Node::map(Place::WHOLE)),
        _ => Err(problems),
    }
}

/// What a flag or a variable says of a setting, as it would stand in the file.
fn overridden(setting: &Setting, overrides: &Overrides) -> Result<Option<Node>, Problem> {
    let flag =
        overrides.flags.iter().rev().find(|(path, _)| *path == setting.path && !setting.secret);
    let (name, value) = match (flag, overrides.environment.get(&setting.variable)) {
        (Some((path, value)), _) => (flag_name(path), value),
        (None, Some(value)) if value.is_empty() => return Ok(None),
        (None, Some(value)) => {
            (PathBuf::from(format!("environment variable {}", setting.variable)), value)
        }
        (None, None) => return Ok(None),
    };
    if let Is::Secret = setting.key.is {
        let mut place = Node::map(Place::WHOLE);
        place.put("env", Node::plain(&setting.variable, Place::WHOLE));
        return Ok(Some(place));
    }
    let node = Node::plain(value, Place::WHOLE);
    let mut check = Check::new(&name).discreet();
    check.value(&node, &setting.key.is, &setting.path);
    match check.problems.iter().next() {
        Some(problem) => Err(problem.clone()),
        None => Ok(Some(node)),
    }
}

fn flag_name(path: &str) -> PathBuf {
    PathBuf::from(format!("flag for {path}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::super::{Auth, Database, LogForm, MailWay, Origin, Protocol, SmtpTls};
    use super::*;

    const CANARY: &str = "hunter2-canary";

    fn overrides(variables: &[(&str, &str)]) -> Overrides {
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Overrides { environment: environment.collect(), ..Overrides::none() }
    }

    fn loaded(text: &str, overrides: &Overrides) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("o.yaml");
        fs::write(&file, text).unwrap();
        let folder = format!("{}/", folder.path().display());
        load(Some(&file), overrides).map_err(|problems| problems.to_string().replace(&folder, ""))
    }

    /// What is wrong with a file, one a line.
    fn wrong(text: &str) -> String {
        let config = loaded(text, &overrides(&[("SECRET", CANARY), ("EMPTY", "")]));
        let problems =
            config.map_or_else(|problems| problems, |config| format!("loaded: {config:?}"));
        assert!(!problems.contains(CANARY), "{problems}");
        problems
    }

    #[test]
    fn without_a_file_everything_has_its_default() {
        let config = load(None, &Overrides::none()).unwrap();
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:9400");
        assert_eq!(config.avro, Path::new("avro"));
        assert_eq!(config.kafka.session_timeout, Duration::from_secs(45));
        assert_eq!(config.kafka.security.protocol, Protocol::Plaintext);
        assert_eq!(config.telemetry.log, LogForm::Text);
        assert!(config.databases.is_empty());
        assert_eq!(
            config.bootstrap().unwrap_err().to_string(),
            "ordermill.yaml: `kafka.bootstrap` is missing; set it there or by ORDERMILL_KAFKA_BOOTSTRAP"
        );
        assert!(config.registry_url().unwrap_err().to_string().contains("ORDERMILL_REGISTRY_URL"));
    }

    #[test]
    fn every_key_of_the_file_reaches_the_config() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), format!("{CANARY}\n")).unwrap();
        let file = folder.path().join("ordermill.yaml");
        let text = "
kafka:
  bootstrap: a:9092,b:9092
  security:
    protocol: sasl_ssl
    sasl: { mechanism: PLAIN, username: u, password: { env: SECRET } }
    tls: { ca: ca.pem, certificate: /c.pem, key: k.pem }
  session_timeout: 30s
  properties: { fetch.max.bytes: 1000, ssl.key.password: { env: SECRET } }
registry: { url: 'https://r:8081', token: { file: token }, ca: ca.pem, cache: schemas }
databases:
  orders: { postgres: { url: { env: SECRET }, connections: 3, ca: db.pem } }
  plain: { postgres: { url: postgres://h/d } }
  small: { sqlite: { path: small.db } }
mail: { smtp: { host: m.example, tls: implicit, ca: mail.pem, username: u, password: { env: SECRET } }, domain: d.example }
http: { listen: '[::]:80' }
avro: contracts
telemetry: { log: json, level: 'warn,ordermill=debug' }
";
        fs::write(&file, text).unwrap();
        let overrides = overrides(&[("SECRET", CANARY)]);
        let config = load(Some(&file), &overrides).unwrap();
        let here = |path: &str| Some(folder.path().join(path));
        assert_eq!(config.bootstrap().unwrap(), "a:9092,b:9092");
        let sasl = config.kafka.security.sasl.as_ref().unwrap();
        assert_eq!((sasl.mechanism.as_str(), sasl.username.as_str()), ("PLAIN", "u"));
        assert_eq!(sasl.password.reveal(), CANARY);
        assert_eq!(config.kafka.security.tls.ca, here("ca.pem"));
        assert_eq!(config.kafka.security.tls.certificate, Some("/c.pem".into()));
        assert_eq!(config.kafka.session_timeout, Duration::from_secs(30));
        assert_eq!(config.kafka.properties["fetch.max.bytes"].reveal(), "1000");
        assert_eq!(config.kafka.properties["ssl.key.password"].reveal(), CANARY);
        let Some(Auth::Token(token)) = &config.registry.auth else {
            panic!("{:?}", config.registry)
        };
        assert_eq!(token.reveal(), CANARY);
        assert_eq!(token.origin(), &Origin::File(folder.path().join("token")));
        assert_eq!(config.registry.cache, here("schemas"));
        let Database::Postgres(orders) = &config.databases["orders"] else { panic!() };
        assert_eq!((orders.url.reveal(), orders.connections), (CANARY, 3));
        assert_eq!(orders.ca, here("db.pem"));
        let Database::Sqlite(small) = &config.databases["small"] else { panic!() };
        assert_eq!(Some(small.path.clone()), here("small.db"));
        let mail = config.mail.as_ref().unwrap();
        let MailWay::Smtp(smtp) = &mail.way else { panic!("{mail:?}") };
        assert_eq!(
            (smtp.host.as_str(), smtp.port, smtp.tls),
            ("m.example", 465, SmtpTls::Implicit)
        );
        assert_eq!(
            (smtp.ca.clone(), mail.domain.as_deref()),
            (here("mail.pem"), Some("d.example"))
        );
        let login = smtp.login.as_ref().map(|(name, password)| (name.as_str(), password.reveal()));
        assert_eq!(login, Some(("u", CANARY)));
        assert_eq!(config.http.listen.port(), 80);
        assert_eq!(Some(config.avro.clone()), here("contracts"));
        assert_eq!(config.telemetry.level, "warn,ordermill=debug");

        // Shown, it holds no secret, and reads as the same settings again.
        let shown = config.show_yaml();
        assert!(!shown.contains(CANARY) && !format!("{config:?}{overrides:?}").contains(CANARY));
        fs::write(&file, &shown).unwrap();
        assert_eq!(load(Some(&file), &overrides).unwrap(), config, "{shown}");
    }

    #[test]
    fn a_flag_goes_before_a_variable_and_a_variable_before_the_file() {
        let file =
            "kafka: { bootstrap: 'file:1' }\navro: contracts\nhttp: { listen: '127.0.0.1:1' }\n";
        let bootstrap =
            |overrides: &Overrides| loaded(file, overrides).unwrap().kafka.bootstrap.unwrap();
        let variable =
            overrides(&[("ORDERMILL_KAFKA_BOOTSTRAP", "variable:2"), ("ORDERMILL_AVRO", "")]);
        assert_eq!(bootstrap(&Overrides::none()), "file:1");
        assert_eq!(bootstrap(&variable), "variable:2");
        let flag =
            variable.flag("kafka.bootstrap", Some("flag:3")).flag("http.listen", None::<&str>);
        assert_eq!(bootstrap(&flag), "flag:3");
        let config = loaded(file, &flag.flag("avro", Some("here"))).unwrap();
        assert_eq!(config.avro, Path::new("here"), "relative to where the command runs");
        assert_eq!(config.http.listen.port(), 1);
    }

    #[test]
    fn mails_may_be_set_by_variables_alone() {
        let of = |variables: &[(&str, &str)]| loaded("", &overrides(variables));
        let mail = of(&[("ORDERMILL_MAIL_FOLDER", "mails")]).unwrap().mail.unwrap();
        assert_eq!(mail.way, MailWay::Folder("mails".into()));
        let mail = of(&[("ORDERMILL_MAIL_SMTP_HOST", "::1")]).unwrap().mail.unwrap();
        let MailWay::Smtp(smtp) = mail.way else { panic!() };
        assert_eq!((smtp.port, smtp.tls, smtp.is_local()), (587, SmtpTls::Starttls, true));
        for variables in [
            &[("ORDERMILL_MAIL_FOLDER", "m"), ("ORDERMILL_MAIL_SMTP_HOST", "h")][..],
            &[("ORDERMILL_MAIL_DOMAIN", "d")],
        ] {
            let said = of(variables).unwrap_err();
            assert!(said.contains("`mail` needs either `smtp` or `folder`"), "{said}");
        }
    }

    #[test]
    fn a_secret_comes_from_its_variable_without_a_file_but_never_from_a_flag() {
        let variables = [
            ("ORDERMILL_KAFKA_SECURITY_PROTOCOL", "sasl_ssl"),
            ("ORDERMILL_KAFKA_SECURITY_SASL_USERNAME", "u"),
            ("ORDERMILL_KAFKA_SECURITY_SASL_PASSWORD", CANARY),
        ];
        let config = load(None, &overrides(&variables)).unwrap();
        assert_eq!(config.kafka.security.sasl.unwrap().password.reveal(), CANARY);
        let flag = Overrides::none()
            .flag("registry.token", Some(CANARY))
            .flag("kafka.botstrap", Some("x"));
        let said = load(None, &flag).unwrap_err().to_string();
        assert_eq!(
            said,
            "flag for kafka.botstrap: no flag sets this\nflag for registry.token: no flag sets this"
        );
    }

    #[test]
    fn a_wrong_variable_or_flag_is_named_and_not_repeated() {
        let overrides =
            overrides(&[("ORDERMILL_HTTP_LISTEN", CANARY)]).flag("kafka.bootstrap", Some("x"));
        assert_eq!(
            load(None, &overrides).unwrap_err().to_string(),
            "environment variable ORDERMILL_HTTP_LISTEN: `http.listen` must be an address and port to listen at, not this; for example 127.0.0.1:9400\n\
             flag for kafka.bootstrap: `kafka.bootstrap` must be brokers as `host:port`, with commas between them, not this; for example kafka-1:9092,kafka-2:9092"
        );
    }

    #[test]
    fn commands_that_connect_to_nothing_need_no_secrets() {
        let file = "registry: { token: { env: NOT_SET } }\n";
        assert!(loaded(file, &Overrides::none()).is_err());
        let config = loaded(file, &Overrides::none().without_secrets()).unwrap();
        let Some(Auth::Token(token)) = config.registry.auth else { panic!() };
        assert_eq!(token.reveal(), "");
    }

    #[test]
    fn a_file_of_comments_sets_nothing_and_a_missing_one_is_an_error() {
        assert_eq!(loaded("# all defaults\n", &Overrides::none()).unwrap().databases.len(), 0);
        let said =
            load(Some(Path::new("/nowhere/o.yaml")), &Overrides::none()).unwrap_err().to_string();
        assert!(said.starts_with("/nowhere/o.yaml: cannot be read:"), "{said}");
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of files and what is said of them")]
    fn what_is_wrong_is_said_where_it_stands_and_without_secrets() {
        for (text, expected) in [
            (
                "kafka: { bootstrap: b:1, sesion_timeout: 5s }",
                "o.yaml:1:26: unknown key `sesion_timeout` in `kafka`; did you mean `session_timeout`?",
            ),
            (
                "state: orders\n",
                "o.yaml:1:8: `state` names database `orders`, which is not under `databases`; name one there",
            ),
            (
                "kafka:\n  security:\n    protocol: sasl_ssl\n    sasl: { username: u, password: hunter2-canary }\n",
                "o.yaml:4:36: `kafka.security.sasl.password` is a secret and does not belong into a file; write where it is: { env: NAME } or { file: PATH }",
            ),
            (
                "kafka: { security: { sasl: hunter2-canary } }",
                "o.yaml:1:20: `kafka.security.sasl` is set, and the protocol `plaintext` does not authenticate; write `protocol: sasl_ssl`\no.yaml:1:28: `kafka.security.sasl` must be a map, not this; for example { mechanism: SCRAM-SHA-512 }",
            ),
            (
                "kafka: { security: { sasl: { username: u, password: { env: SECRET } } } }",
                "o.yaml:1:20: `kafka.security.sasl` is set, and the protocol `plaintext` does not authenticate; write `protocol: sasl_ssl`",
            ),
            (
                "mail: { folder: m, smtp: { host: m } }",
                "o.yaml:1:20: `smtp` cannot stand beside `folder`; keep one of them",
            ),
            (
                "mail: { smtp: { port: 25 } }",
                "o.yaml:1:15: `mail.smtp.host` is missing; set it, or ORDERMILL_MAIL_SMTP_HOST",
            ),
            (
                "mail: { smtp: { host: m, tls: none, username: u, password: { env: SECRET } } }",
                "o.yaml:1:31: `mail.smtp` would send its password without encryption; write `tls: starttls` or `tls: implicit`",
            ),
            (
                "mail: { smtp: { host: m, username: u } }",
                "o.yaml:1:15: `mail.smtp.password` is missing; set it, or ORDERMILL_MAIL_SMTP_PASSWORD",
            ),
            (
                "kafka: { security: { protocol: sasl_ssl } }",
                "o.yaml:1:32: `kafka.security.sasl.password` is missing; set it, or ORDERMILL_KAFKA_SECURITY_SASL_PASSWORD\no.yaml:1:32: `kafka.security.sasl.username` is missing; set it, or ORDERMILL_KAFKA_SECURITY_SASL_USERNAME",
            ),
            (
                "kafka: { security: { tls: { certificate: a } } }",
                "o.yaml:1:20: `kafka.security.tls` is set, and the protocol `plaintext` does not encrypt; write `protocol: ssl` or `sasl_ssl`\no.yaml:1:27: `certificate` and `key` go together; set both, or neither",
            ),
            (
                "kafka: { properties: { sasl.password: hunter2-canary } }",
                "o.yaml:1:24: `sasl.password` has a key of its own; set `kafka.security.sasl.password`",
            ),
            (
                "kafka: { properties: { ssl.key.password: hunter2-canary } }",
                "o.yaml:1:42: `kafka.properties.ssl.key.password` is a secret and does not belong into a file; write where it is: { env: NAME } or { file: PATH }",
            ),
            (
                "registry: { auth: { username: u, password: *hunter2-canary } }",
                "o.yaml:1:44: an alias is not allowed; write the value out, or put text that begins with `*` in quotes",
            ),
            (
                "registry: { auth: { username: u, password: &hunter2-canary } }",
                "o.yaml:1:44: an anchor is not allowed; write the value out, or put text that begins with `&` in quotes",
            ),
            (
                "registry: { auth: { username: u, password: !hunter2-canary } }",
                "o.yaml:1:44: a tag is not allowed; put text that begins with `!` in quotes",
            ),
            (
                "registry: { token: { env: MISSING } }",
                "o.yaml:1:20: the environment variable MISSING is not set, or not UTF-8; a secret is looked up once, at the start",
            ),
            (
                "registry: { token: { env: EMPTY } }",
                "o.yaml:1:20: the environment variable EMPTY is empty; a secret is looked up once, at the start",
            ),
            (
                "registry: { token: { env: SECRET, file: f } }",
                "o.yaml:1:35: `file` cannot stand beside `env`; keep one of them",
            ),
            (
                "registry: { token: { env: SECRET }, auth: { username: u, password: { env: SECRET } } }",
                "o.yaml:1:43: `registry.auth` cannot stand beside `registry.token`; keep one of them",
            ),
            (
                "registry: { token: { file: /nowhere } }",
                "o.yaml:1:20: the file /nowhere cannot be read: No such file or directory (os error 2); a secret is looked up once, at the start",
            ),
            (
                "registry: { url: 'https://u:hunter2-canary@r' }",
                "o.yaml:1:18: `registry.url` must be an http or https address without a password, not this; for example https://registry:8081",
            ),
            (
                "databases: { o: { postgres: { url: 'postgres://u:hunter2-canary@h/d' } } }",
                "o.yaml:1:36: `databases.o.postgres.url` must be a secret's place, `{ env: NAME }` or `{ file: PATH }` or a `postgres://` address without a password, not this; for example { env: NAME }",
            ),
            (
                "databases: { o: { postgres: { connections: 0 } } }",
                "o.yaml:1:29: `databases.o.postgres.url` is missing; for example `url: { env: NAME }`\no.yaml:1:44: `databases.o.postgres.connections` must be a whole number from 1 to 1000, not this; for example 8",
            ),
            (
                "databases: { o: { mysql: {} } }",
                "o.yaml:1:19: unknown key `mysql` in `databases.o`; allowed: postgres, sqlite",
            ),
            (
                "databases: { o: { sqlite: { path: a }, postgres: {} } }",
                "o.yaml:1:40: `databases.o` takes one key here, and `postgres` is a second one; what belongs to the first is indented below it, or stands in its { }",
            ),
            (
                "databases: { Orders: { sqlite: { path: a } } }",
                "o.yaml:1:14: `Orders` in `databases` must be a name of small letters, digits and `-`, at most 63; for example orders",
            ),
            (
                "http: { listen: localhost }",
                "o.yaml:1:17: `http.listen` must be an address and port to listen at, not this; for example 127.0.0.1:9400",
            ),
            (
                "telemetry: { log: yaml }",
                "o.yaml:1:19: `telemetry.log` must be `text` or `json`, not this; for example text",
            ),
            (
                "- a\n",
                "o.yaml:1:1: must be a map of keys, not a list; for example `kafka: { bootstrap: kafka-1:9092,kafka-2:9092 }`",
            ),
        ] {
            assert_eq!(wrong(text), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_file_is_bounded_and_must_hold_something() {
        let folder = tempfile::tempdir().unwrap();
        for (content, expected) in [
            (vec![], "is empty"),
            (b"\n".to_vec(), "is empty"),
            (vec![b'x'; (64 << 10) + 1], "is larger than 65536 bytes"),
            (vec![0xff], "is not UTF-8"),
        ] {
            let secret = folder.path().join("secret");
            fs::write(&secret, content).unwrap();
            let file = format!("registry: {{ token: {{ file: {} }} }}", secret.display());
            let said = loaded(&file, &Overrides::none()).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }
}
