//! The kinds of scalars: what fits, how it is called, an example.

use crate::config::units;
use crate::config::yaml;

/// A kind of scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Any text on one line.
    Text,
    /// Small letters, digits and hyphens: the name of a pipeline or a database.
    Name,
    /// A Kafka topic's name.
    Topic,
    /// A consumer group's name.
    Group,
    /// A subject in the registry.
    Subject,
    /// The name of a field, as Avro allows it.
    Field,
    /// A table, with or without its schema.
    Table,
    /// A column.
    Column,
    /// A CEL expression.
    Expression,
    /// A short text for people and metrics.
    Reason,
    /// An SQL statement.
    Statement,
    /// A text with `{{ }}`.
    Template,
    /// Any text, also on several lines.
    Value,
    /// A whole number within bounds.
    Count(u64, u64),
    /// A duration in milliseconds within bounds.
    Duration(u64, u64),
    /// A size in bytes within bounds.
    Size(u64, u64),
    /// A percentage.
    Ratio,
    /// A point in time.
    Time,
    /// Bytes in base64.
    Base64,
    /// `host:port`, one or several with commas.
    Brokers,
    /// An address to listen at.
    Address,
    /// The name or address of a machine.
    Domain,
    /// An `http://` or `https://` address.
    Url,
    /// A PostgreSQL address without a password.
    Postgres,
    /// A path of a file or folder.
    Path,
    /// The name of an environment variable.
    Variable,
    /// The name of a property of the Kafka client.
    Property,
    /// Levels of the log.
    Levels,
}

impl Scalar {
    /// Does this scalar fit?
    pub fn fits(self, scalar: &yaml::Scalar) -> bool {
        let text = scalar.text.as_str();
        match self {
            Scalar::Count(min, max) => {
                scalar.plain && digits(text) && text.parse().is_ok_and(|n| (min..=max).contains(&n))
            }
            Scalar::Duration(min, max) => units::duration(text).is_some_and(|duration| {
                (u128::from(min)..=u128::from(max)).contains(&duration.as_millis())
            }),
            Scalar::Size(min, max) => {
                units::size(text).is_some_and(|bytes| (min..=max).contains(&bytes))
            }
            Scalar::Ratio => units::ratio(text).is_some(),
            Scalar::Time => units::time(text).is_some(),
            Scalar::Base64 => decode_base64(text).is_some(),
            Scalar::Statement | Scalar::Template | Scalar::Value | Scalar::Expression => {
                !text.trim().is_empty() && !text.contains('\0')
            }
            _ => self.fits_name(text),
        }
    }

    /// Those that are told by their characters and length.
    fn fits_name(self, text: &str) -> bool {
        let within = |max: usize| (1..=max).contains(&text.len());
        let all = |more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
        match self {
            Scalar::Name => {
                let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                within(63) && text.chars().all(lower)
            }
            Scalar::Topic => within(249) && all("._-") && text != "." && text != "..",
            Scalar::Group | Scalar::Subject => within(255) && printable(text),
            Scalar::Field => within(255) && identifier(text, "_"),
            Scalar::Column => within(63) && identifier(text, "_$"),
            Scalar::Table => {
                let parts = text.split('.').count();
                parts <= 2 && text.split('.').all(|part| part.len() <= 63 && identifier(part, "_$"))
            }
            Scalar::Reason => {
                within(200) && text.trim() == text && !text.contains(char::is_control)
            }
            Scalar::Brokers => text.split(',').all(|broker| host_and_port(broker.trim())),
            Scalar::Address => text.parse::<std::net::SocketAddr>().is_ok(),
            Scalar::Domain => {
                within(253) && (domain(text) || text.parse::<std::net::IpAddr>().is_ok())
            }
            Scalar::Url => {
                let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
                rest.is_some_and(|rest| !rest.is_empty()) && printable(text) && !text.contains('@')
            }
            Scalar::Postgres => within(4096) && printable(&text.replace(' ', "")) && postgres(text),
            Scalar::Variable => within(255) && identifier(text, "_"),
            Scalar::Property => within(255) && all("._-"),
            Scalar::Levels => within(1000) && all("_:=,-"),
            _ => within(4096) && !text.contains(char::is_control),
        }
    }

    /// What is expected, in words that follow "must be".
    pub fn expected(self) -> String {
        let words = match self {
            Scalar::Count(min, max) => return format!("a whole number from {min} to {max}"),
            Scalar::Duration(min, max) => {
                let show = |ms| units::show_duration(std::time::Duration::from_millis(ms));
                return format!("a duration from {} to {}", show(min), show(max));
            }
            Scalar::Size(min, max) => {
                return format!(
                    "a size from {} to {}",
                    units::show_size(min),
                    units::show_size(max)
                );
            }
            Scalar::Text => "text on one line",
            Scalar::Name => "a name of small letters, digits and `-`, at most 63",
            Scalar::Topic => "a topic's name of letters, digits, `.`, `_` and `-`",
            Scalar::Group => "a consumer group's name",
            Scalar::Subject => "a subject of the registry",
            Scalar::Field => "a field's name of letters, digits and `_`",
            Scalar::Table => "a table's name, or `schema.table`",
            Scalar::Column => "a column's name of letters, digits and `_`",
            Scalar::Expression => "an expression",
            Scalar::Reason => "a short text on one line, at most 200 bytes",
            Scalar::Statement => "an SQL statement",
            Scalar::Template => "a template",
            Scalar::Value => "text",
            Scalar::Ratio => "a percentage above 0% and up to 100%",
            Scalar::Time => "a point in time with its zone",
            Scalar::Base64 => "bytes in base64",
            Scalar::Brokers => "brokers as `host:port`, with commas between them",
            Scalar::Address => "an address and port to listen at",
            Scalar::Domain => "a machine's name or address, without a port",
            Scalar::Url => "an http or https address without a password",
            Scalar::Postgres => "a `postgres://` address without a password",
            Scalar::Path => "a path",
            Scalar::Variable => "an environment variable's name",
            Scalar::Property => "a property of the Kafka client",
            Scalar::Levels => "a level, or levels by module",
        };
        words.to_owned()
    }

    /// One that fits, as it could stand in a file.
    pub fn example(self) -> &'static str {
        match self {
            Scalar::Text | Scalar::Value => "some text",
            Scalar::Name => "orders",
            Scalar::Topic => "orders.created",
            Scalar::Group => "ordermill.inventory",
            Scalar::Subject => "orders.created-value",
            Scalar::Field | Scalar::Column => "order_id",
            Scalar::Table => "orders",
            Scalar::Expression => "event.quantity > 0",
            Scalar::Reason => "quantity out of range",
            Scalar::Statement => {
                "UPDATE stock SET available = available - :quantity WHERE sku = :sku"
            }
            Scalar::Template => "'Order {{ event.order_id }}'",
            Scalar::Count(..) => "10",
            Scalar::Duration(..) => "5s",
            Scalar::Size(..) => "4MiB",
            Scalar::Ratio => "5%",
            Scalar::Time => "2026-01-05T10:00:00Z",
            Scalar::Base64 => "AAAAAAE=",
            Scalar::Brokers => "kafka-1:9092,kafka-2:9092",
            Scalar::Address => "127.0.0.1:9400",
            Scalar::Domain => "mail.example.com",
            Scalar::Url => "https://registry:8081",
            Scalar::Postgres => "postgres://ordermill@db/orders",
            Scalar::Path => "some/folder",
            Scalar::Variable => "KAFKA_PASSWORD",
            Scalar::Property => "fetch.max.bytes",
            Scalar::Levels => "info,ordermill::kafka=debug",
        }
    }
}

/// Standard base64 with padding; line breaks and spaces between are let pass.
pub(in crate::config) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let bytes: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(bytes).ok()
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn printable(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic())
}

/// Labels with dots between them.
fn domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    text.split('.').all(label)
}

fn identifier(text: &str, more: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

/// An address by URL or by `key=value` pairs, in which no password stands.
fn postgres(text: &str) -> bool {
    if text.to_ascii_lowercase().contains("password") {
        return false;
    }
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    match rest {
        Some(rest) => {
            !rest.is_empty() && !rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
        }
        None => text.starts_with("host=") || text.starts_with("hostaddr="),
    }
}

fn host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && printable(host)
            && !host.contains('@')
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::Place;
    use crate::config::yaml::{Kind, Node};

    fn fits(kind: Scalar, text: &str) -> bool {
        match Node::plain(text, Place::WHOLE).kind {
            Kind::Scalar(scalar) => kind.fits(&scalar),
            _ => false,
        }
    }

    #[test]
    fn each_kind_takes_its_own_example_and_refuses_what_is_not_of_its_kind() {
        for (kind, good, bad) in [
            (Scalar::Text, "a b", "a\nb"),
            (Scalar::Name, "order-2", "Order"),
            (Scalar::Topic, "a.b_c-D", "a/b"),
            (Scalar::Topic, "a", ".."),
            (Scalar::Group, "team/orders", "a b"),
            (Scalar::Subject, "a-value", ""),
            (Scalar::Field, "_a1", "1a"),
            (Scalar::Table, "public.orders", "a.b.c"),
            (Scalar::Table, "orders", "orders; drop"),
            (Scalar::Column, "o_orderkey", "b)"),
            (Scalar::Expression, "true", "  "),
            (Scalar::Reason, "out of stock", "two\nlines"),
            (Scalar::Statement, "SELECT 1", ""),
            (Scalar::Template, "x", ""),
            (Scalar::Value, "a\nb", ""),
            (Scalar::Count(1, 10), "10", "11"),
            (Scalar::Count(1, 10), "1", "+1"),
            (Scalar::Duration(1, 1000), "1s", "1001ms"),
            (Scalar::Size(1, 1000), "1kB", "1KiB"),
            (Scalar::Ratio, "5%", "5"),
            (Scalar::Time, "2026-01-05T10:00:00Z", "yesterday"),
            (Scalar::Base64, "AAAAAAE=", "AAAAAAE"),
            (Scalar::Brokers, "a:1, b:2", "a"),
            (Scalar::Brokers, "[::1]:9092", "a:0"),
            (Scalar::Address, "0.0.0.0:80", "localhost"),
            (Scalar::Domain, "mail-1.example.com", "mail:25"),
            (Scalar::Domain, "::1", "a..b"),
            (Scalar::Url, "http://a", "http://u:p@a"),
            (Scalar::Postgres, "postgres://u@h:5432/d?sslmode=require", "postgres://u:p@h/d"),
            (Scalar::Postgres, "postgresql://h/d", "postgres://h/d?password=p"),
            (Scalar::Postgres, "host=h user=u", "host=h password=p"),
            (Scalar::Path, "a b/c", "a\0"),
            (Scalar::Variable, "A_1", "A-1"),
            (Scalar::Property, "a.b", "a b"),
            (Scalar::Levels, "info,a::b=debug", "info debug"),
        ] {
            assert!(fits(kind, good), "{kind:?} takes {good}");
            assert!(!fits(kind, bad), "{kind:?} refuses {bad}");
            assert!(
                matches!(
                    kind,
                    Scalar::Template | Scalar::Count(..) | Scalar::Duration(..) | Scalar::Size(..)
                ) || fits(kind, kind.example()),
                "{kind:?}"
            );
        }
    }
}
