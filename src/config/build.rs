//! Typed settings out of the checked tree; the rules between keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::grammar::{Fields, Part};
use super::keys::{KEYS, POSTGRES, SQLITE};
use super::load::{FILE, Overrides};
use super::secret::{Origin, Secret};
use super::settings::{
    Auth, Config, Database, Http, Kafka, LogForm, Mail, MailWay, Postgres, Protocol, Registry,
    Sasl, Security, Smtp, SmtpTls, Sqlite, Telemetry, Tls,
};
use super::yaml::{Entry, Node};
use super::{Place, Problem, Problems};

/// Properties of the client that have keys of their own.
const OWN_KEYS: &[(&str, &str)] = &[
    ("bootstrap.servers", "kafka.bootstrap"),
    ("metadata.broker.list", "kafka.bootstrap"),
    ("security.protocol", "kafka.security.protocol"),
    ("sasl.mechanism", "kafka.security.sasl.mechanism"),
    ("sasl.mechanisms", "kafka.security.sasl.mechanism"),
    ("sasl.username", "kafka.security.sasl.username"),
    ("sasl.password", "kafka.security.sasl.password"),
    ("ssl.ca.location", "kafka.security.tls.ca"),
    ("ssl.certificate.location", "kafka.security.tls.certificate"),
    ("ssl.key.location", "kafka.security.tls.key"),
    ("session.timeout.ms", "kafka.session_timeout"),
];

/// Parts of names of properties whose values are secrets.
const SECRET_WORDS: &[&str] = &["password", "secret", "token", "pem", "jaas", "oauthbearer.config"];

/// Makes the config, or says everything that is wrong; `problems` is what was found before.
pub(super) fn config(
    path: Option<&Path>,
    root: &Node,
    overrides: &Overrides,
    problems: Problems,
) -> Result<Config, Problems> {
    let file = path.unwrap_or_else(|| Path::new(FILE));
    let folder = path.and_then(Path::parent).unwrap_or_else(|| Path::new(""));
    let mut builder = Builder { file, folder, overrides, problems };
    let config = builder.all(path, &Part::new(Some(root), &KEYS));
    match config {
        Some(config) => builder.problems.or(config),
        None if builder.problems.is_empty() => {
            let what = "was found right and cannot be read: this is a fault of Ordermill";
            Err(Problem::new(file, Place::WHOLE, what).hint("please report it").into())
        }
        None => Err(builder.problems),
    }
}

struct Builder<'a> {
    file: &'a Path,
    folder: &'a Path,
    overrides: &'a Overrides,
    problems: Problems,
}

impl Builder<'_> {
    fn all(&mut self, path: Option<&Path>, root: &Part<'_>) -> Option<Config> {
        // Each part is looked at even if one before it is wrong: all errors at once.
        let kafka = self.kafka(&root.part("kafka")?);
        let registry = self.registry(&root.part("registry")?);
        let databases = self.databases(root);
        let state = self.state(root);
        let mail = self.mail(root);
        let telemetry = root.part("telemetry")?;
        Some(Config {
            file: path.map(Path::to_owned),
            kafka: kafka?,
            registry: registry?,
            databases: databases?,
            state,
            mail: mail?,
            http: Http { listen: root.part("http")?.string("listen")?.parse().ok()? },
            avro: self.path(root, "avro")?,
            telemetry: Telemetry {
                log: match telemetry.string("log")?.as_str() {
                    "text" => LogForm::Text,
                    "json" => LogForm::Json,
                    _ => return None,
                },
                level: telemetry.string("level")?,
            },
        })
    }

    /// The state database is one of those that are named.
    fn state(&mut self, root: &Part<'_>) -> Option<String> {
        let name = root.string("state")?;
        let databases = root.node("databases").map(Node::entries).unwrap_or_default();
        if databases.iter().all(|entry| entry.key.as_str() != name) {
            let what = format!("`state` names database `{name}`, which is not under `databases`");
            let known: Vec<&str> = databases.iter().map(|entry| entry.key.as_str()).collect();
            let hint = match known.is_empty() {
                true => "name one there".to_owned(),
                false => format!("allowed: {}", known.join(", ")),
            };
            self.problem(root.place("state"), what, &hint);
        }
        Some(name)
    }

    fn kafka(&mut self, part: &Part<'_>) -> Option<Kafka> {
        let security = self.security(&part.part("security")?);
        let mut properties = BTreeMap::new();
        for Entry { key, value } in part.node("properties").map(Node::entries).unwrap_or_default() {
            let name = key.as_str();
            let secret = SECRET_WORDS.iter().any(|word| name.contains(word));
            if let Some((_, own)) = OWN_KEYS.iter().find(|(property, _)| *property == name) {
                self.problem(
                    key.at,
                    format!("`{name}` has a key of its own"),
                    &format!("set `{own}`"),
                );
            } else if secret && value.scalar().is_some() {
                let what = format!(
                    "`kafka.properties.{name}` is a secret and does not belong into a file"
                );
                self.problem(value.at, what, SECRET_HINT);
            } else if let Some(value) = self.secret(value) {
                properties.insert(name.to_owned(), value);
            }
        }
        Some(Kafka {
            bootstrap: part.string("bootstrap"),
            security: security?,
            session_timeout: part.duration("session_timeout")?,
            properties,
        })
    }

    fn security(&mut self, part: &Part<'_>) -> Option<Security> {
        let protocol = match part.string("protocol")?.as_str() {
            "plaintext" => Protocol::Plaintext,
            "ssl" => Protocol::Ssl,
            "sasl_plaintext" => Protocol::SaslPlaintext,
            "sasl_ssl" => Protocol::SaslSsl,
            _ => return None,
        };
        let at = part.place("protocol");
        let word = protocol.as_str();
        let tls = part.part("tls")?;
        if part.node("tls").is_some() && !protocol.tls() {
            self.problem(
                at,
                format!("`kafka.security.tls` is set, and the protocol `{word}` does not encrypt"),
                "write `protocol: ssl` or `sasl_ssl`",
            );
        }
        if tls.node("certificate").is_some() != tls.node("key").is_some() {
            self.problem(
                tls.at(),
                "`certificate` and `key` go together".to_owned(),
                "set both, or neither",
            );
        }
        let sasl = part.part("sasl")?;
        if part.node("sasl").is_some() && !protocol.sasl() {
            self.problem(
                at,
                format!(
                    "`kafka.security.sasl` is set, and the protocol `{word}` does not authenticate"
                ),
                "write `protocol: sasl_ssl`",
            );
        }
        Some(Security {
            protocol,
            sasl: if protocol.sasl() { Some(self.sasl(&sasl, at)?) } else { None },
            tls: Tls {
                ca: self.path(&tls, "ca"),
                certificate: self.path(&tls, "certificate"),
                key: self.path(&tls, "key"),
            },
        })
    }

    fn sasl(&mut self, part: &Part<'_>, at: Place) -> Option<Sasl> {
        let (username, password) = self.credentials(part, at, "kafka.security.sasl")?;
        Some(Sasl { mechanism: part.string("mechanism")?, username, password })
    }

    /// Name and password, of which neither may be missing.
    fn credentials(&mut self, part: &Part<'_>, at: Place, path: &str) -> Option<(String, Secret)> {
        for key in ["username", "password"] {
            if part.node(key).is_none() {
                let variable =
                    format!("ORDERMILL_{}_{}", path, key).to_ascii_uppercase().replace('.', "_");
                self.problem(
                    at,
                    format!("`{path}.{key}` is missing"),
                    &format!("set it, or {variable}"),
                );
            }
        }
        Some((part.string("username")?, self.secret(part.node("password")?)?))
    }

    fn registry(&mut self, part: &Part<'_>) -> Option<Registry> {
        let auth = match (part.node("auth"), part.node("token")) {
            (Some(auth), Some(_)) => {
                self.problem(
                    auth.at,
                    "`registry.auth` cannot stand beside `registry.token`".to_owned(),
                    "keep one of them",
                );
                None
            }
            (Some(auth), None) => {
                let (username, password) =
                    self.credentials(&part.part("auth")?, auth.at, "registry.auth")?;
                Some(Auth::Basic { username, password })
            }
            (None, Some(token)) => Some(Auth::Token(self.secret(token)?)),
            (None, None) => None,
        };
        Some(Registry {
            url: part.string("url"),
            auth,
            ca: self.path(part, "ca"),
            cache: self.path(part, "cache"),
        })
    }

    fn databases(&mut self, root: &Part<'_>) -> Option<BTreeMap<String, Database>> {
        let entries = root.node("databases").map(Node::entries).unwrap_or_default();
        let all: Vec<_> = entries
            .iter()
            .map(|entry| Some((entry.key.text.clone(), self.database(&entry.value)?)))
            .collect();
        all.into_iter().collect()
    }

    fn database(&mut self, node: &Node) -> Option<Database> {
        let [Entry { key, value }] = node.entries() else { return None };
        let part = |fields: &'static Fields| Part::new(Some(value), fields);
        match key.as_str() {
            "postgres" => {
                let part = part(&POSTGRES);
                Some(Database::Postgres(Postgres {
                    url: self.secret(part.node("url")?)?,
                    connections: part.count("connections")?,
                    ca: self.path(&part, "ca"),
                }))
            }
            "sqlite" => Some(Database::Sqlite(Sqlite { path: self.path(&part(&SQLITE), "path")? })),
            _ => None,
        }
    }

    /// How mails leave: nothing in it when nobody says.
    fn mail(&mut self, root: &Part<'_>) -> Option<Option<Mail>> {
        if root.node("mail").is_none() {
            return Some(None);
        }
        let part = root.part("mail")?;
        let way = match (part.node("smtp"), part.node("folder")) {
            (Some(_), None) => MailWay::Smtp(self.smtp(&part.part("smtp")?)?),
            (None, Some(_)) => MailWay::Folder(self.path(&part, "folder")?),
            // Of a file alone the table has said so; variables come after it.
            _ if self.problems.is_empty() => {
                let what = "`mail` needs either `smtp` or `folder`".to_owned();
                self.problem(part.at(), what, "variables count too: ORDERMILL_MAIL_…");
                return None;
            }
            _ => return None,
        };
        Some(Some(Mail { domain: part.string("domain"), way }))
    }

    fn smtp(&mut self, part: &Part<'_>) -> Option<Smtp> {
        let tls = match part.string("tls")?.as_str() {
            "none" => SmtpTls::None,
            "starttls" => SmtpTls::Starttls,
            "implicit" => SmtpTls::Implicit,
            _ => return None,
        };
        let login = match (part.node("username"), part.node("password")) {
            (None, None) => None,
            _ => Some(self.credentials(part, part.at(), "mail.smtp")?),
        };
        if part.node("host").is_none() {
            let what = "`mail.smtp.host` is missing".to_owned();
            self.problem(part.at(), what, "set it, or ORDERMILL_MAIL_SMTP_HOST");
        }
        let port = if part.node("port").is_some() { part.count("port")? } else { tls.port() };
        let smtp = Smtp { host: part.string("host")?, port, tls, ca: self.path(part, "ca"), login };
        if smtp.login.is_some() && tls == SmtpTls::None && !smtp.is_local() {
            let what = "`mail.smtp` would send its password without encryption".to_owned();
            self.problem(part.place("tls"), what, "write `tls: starttls` or `tls: implicit`");
        }
        Some(smtp)
    }

    /// A path; relative to the file where the file says it, or where nobody does.
    fn path(&self, part: &Part<'_>, key: &str) -> Option<PathBuf> {
        let path = part.string(key)?;
        let elsewhere = part.node(key).is_some_and(|node| node.at == Place::WHOLE);
        Some(if elsewhere { PathBuf::from(path) } else { self.folder.join(path) })
    }

    /// A secret, or a value that is none.
    fn secret(&mut self, node: &Node) -> Option<Secret> {
        if let Some(scalar) = node.scalar() {
            return Some(Secret::written(scalar.text.as_str()));
        }
        let origin = match node.entries() {
            [Entry { key, value }] if key.as_str() == "env" => {
                Origin::Environment(value.scalar()?.text.text.clone())
            }
            [Entry { key, value }] if key.as_str() == "file" => {
                Origin::File(self.folder.join(value.scalar()?.text.as_str()))
            }
            _ => return None,
        };
        match Secret::resolve(origin, &self.overrides.environment, self.overrides.secrets) {
            Ok(secret) => Some(secret),
            Err(what) => {
                self.problem(node.at, what, "a secret is looked up once, at the start");
                None
            }
        }
    }

    fn problem(&mut self, at: Place, what: String, hint: &str) {
        self.problems.push(Problem::new(self.file, at, what).hint(hint));
    }
}

const SECRET_HINT: &str = "write where it is: { env: NAME } or { file: PATH }";
