//! TLS and logins reach every edge: Kafka by SASL_SSL, PostgreSQL by a certificate that is checked.

use std::fs;
use std::time::{Duration, Instant};

use super::end;
use crate::plain::{Line, SOON};
use crate::support::{Kafka, Postgres, Private, Services};

/// A line on a broker that wants a login and a database that wants TLS.
struct Secured {
    kafka: Private<Kafka>,
    line: Line,
}

impl Secured {
    /// As this user, with this password.
    fn settings(&self, user: &str, password: &str, ca: &str) -> String {
        let bootstrap = fs::read_to_string(self.kafka.dir().join("bootstrap.secure")).unwrap();
        let security = format!(
            "protocol: sasl_ssl, tls: {{ ca: \"{ca}\" }}, \
             sasl: {{ mechanism: SCRAM-SHA-512, username: {user}, password: {{ file: {password} }} }}"
        );
        let clear = Services::get().kafka.bootstrap();
        let (kafka, rest) = self.line.settings.split_once('\n').unwrap();
        assert!(kafka.contains(clear), "{kafka}");
        format!(
            "kafka: {{ bootstrap: \"{}\", session_timeout: 6s, security: {{ {security} }} }}\n{rest}",
            bootstrap.trim()
        )
    }

    fn ca(&self) -> String {
        self.kafka.dir().join("ca.pem").display().to_string()
    }

    /// A command of alice, who may do everything.
    fn command(&self, args: &[&str]) -> crate::support::Ordermill {
        let line = &self.line;
        let mill = line.command(args).file("secret", "alice-secret\n");
        mill.file("ordermill.yaml", &self.settings("alice", "secret", &self.ca()))
    }

    /// What a command says that must fail.
    #[track_caller]
    fn fails(&self, settings: &str, password: &str, args: &[&str], words: &str) {
        let began = Instant::now();
        let mill = self.line.command(args).file("ordermill.yaml", settings);
        let (code, out, error) = end(mill.file("secret", password));
        assert!(began.elapsed() < Duration::from_secs(20), "{args:?}: {:?}", began.elapsed());
        assert_eq!((code, out.as_str()), (Some(1), ""), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {words}: {error}");
        assert!(!error.contains(password), "{error}");
    }
}

#[test]
fn logins_and_certificates_are_passed_to_every_edge_and_refusals_are_one_clear_error() {
    let postgres = Private::<Postgres>::up(&[]);
    let mut secured =
        Secured { kafka: Private::<Kafka>::up(&["--secure"]), line: Line::without_topic() };
    let (url, certificate) = with_tls(&postgres);
    let line = &mut secured.line;
    let clear = line.database.url().to_owned();
    line.settings = line
        .settings
        .replace(&format!("url: \"{clear}\""), &format!("url: \"{url}\", ca: \"postgres.pem\""));
    assert!(line.settings.contains("postgres.pem"), "{}", line.settings);
    line.pipeline = line.pipeline.replace("consecutive: 1", "consecutive: 5");
    postgres.query("CREATE TABLE orders (n bigint PRIMARY KEY, note text NOT NULL)");
    let command = |args: &[&str]| secured.command(args).file("postgres.pem", &certificate);

    // Topics by the admin client, records by the producer, rows and a dead letter by a member, a look by tail.
    let (code, _, error) = end(command(&["topic", "apply", "--partitions", "2", "--execute"]));
    assert_eq!(code, Some(0), "{error}");
    let topic = secured.line.topic.clone();
    let produce = command(&["produce", &topic, "orders.json"]);
    let orders = "{\"n\":1,\"note\":\"a\"}\n{\"n\":1,\"note\":\"twice\"}\n";
    let (code, _, error) = end(produce.file("orders.json", orders));
    assert_eq!(code, Some(0), "{error}");
    let mut mill = command(&["run"]).with_http().start();
    mill.wait_until(SOON, "the row is there", |_| {
        postgres.query("SELECT count(*) FROM orders") == "1"
    });
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'ordermill'";
    assert_eq!(postgres.query(encrypted), "t");
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());
    let letters = secured.line.dead_letters();
    let (code, out, error) = end(command(&["tail", &letters, "--no-follow", "-o", "value"]));
    assert_eq!((code, out.lines().count()), (Some(0), 1), "{out}{error}");

    // A wrong password, a login that may nothing, and an authority that did not sign.
    let settings = secured.settings("alice", "secret", &secured.ca());
    secured.fails(&settings, "wrong", &["topic", "list"], "Authentication failed");
    let settings = secured.settings("bob", "secret", &secured.ca());
    for args in [&["tail", topic.as_str()][..], &["topic", "describe", &topic]] {
        secured.fails(&settings, "bob-secret", args, "authorization failed");
    }
    let settings = secured.settings("alice", "secret", "secret");
    let args = ["group", "describe", "g"];
    let mill = secured.line.command(&args).file("ordermill.yaml", &settings).file("secret", "x");
    let (code, _, error) = end(mill);
    assert_eq!(code, Some(78), "{error}");
    assert!(error.contains("ssl.ca.location"), "{error}");
}

/// Lets the server speak TLS: its URL for who insists on it, and its certificate.
fn with_tls(postgres: &Postgres) -> (String, String) {
    let openssl = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                   -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
                   -keyout server.key -out server.crt && chmod 600 server.key";
    postgres.query(&format!("COPY (SELECT 1) TO PROGRAM '{openssl}'"));
    postgres.query("ALTER SYSTEM SET ssl = on");
    postgres.query("SELECT pg_reload_conf()");
    crate::support::wait_until(SOON, "the server speaks TLS", || {
        postgres.query("SHOW ssl") == "on"
    });
    let certificate = postgres.query("SELECT pg_read_file('server.crt')");
    (format!("{}?sslmode=verify-full", postgres.url()), format!("{certificate}\n"))
}
