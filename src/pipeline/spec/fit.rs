//! Do pipelines fit what the operator set?

use super::{Pipeline, Problem, Problems, Sink};
use crate::config::Config;
use crate::config::grammar::nearest;
use crate::config::units::show_duration;

/// Checks pipelines against the settings: their databases and the way for mails are there, their drain ends before the session.
///
/// # Errors
/// Everything that does not fit, where the pipeline files say it.
pub fn fit(pipelines: &[Pipeline], config: &Config) -> Result<(), Problems> {
    let mut problems = Problems::default();
    for Pipeline { file, sink, limits, places, .. } in pipelines {
        if let Sink::Sql(sql) = sink
            && !config.databases.contains_key(&sql.database)
        {
            let name = &sql.database;
            let known: Vec<_> = config.databases.keys().map(String::as_str).collect();
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => {
                    format!("add `databases: {{ {name}: … }}` to ordermill.yaml")
                }
                None => format!("there are: {}", known.join(", ")),
            };
            let what = format!("ordermill.yaml has no database `{name}`");
            problems.push(Problem::new(file, places.database, what).hint(hint));
        }
        if matches!(sink, Sink::Mail(_)) && config.mail.is_none() {
            let hint = "add `mail: { smtp: { host: … } }` or `mail: { folder: … }`";
            let what = "ordermill.yaml does not say how mails leave";
            problems.push(Problem::new(file, places.sink, what).hint(hint));
        }
        let session = config.kafka.session_timeout;
        if limits.drain >= session {
            let (drain, session) = (show_duration(limits.drain), show_duration(session));
            let what = format!(
                "`limits.drain` {drain} is not shorter than `kafka.session_timeout` {session}"
            );
            let hint = "begun work must end before the group takes the partition away";
            problems.push(Problem::new(file, places.drain, what).hint(hint));
        }
    }
    problems.or(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse;
    use super::*;
    use crate::config::{Overrides, load};

    #[test]
    fn a_pipeline_must_fit_the_databases_and_the_session() {
        let text = "name: a\nsource: { topic: t }\nsink: { sql: { database: oders, insert: { table: o } } }\nlimits: { drain: 45s }\n";
        let pipeline = parse(Path::new("a.yaml"), text.as_bytes()).unwrap();
        let config = load(None, &Overrides::none()).unwrap();
        assert_eq!(
            fit(std::slice::from_ref(&pipeline), &config).unwrap_err().to_string(),
            "a.yaml:3:26: ordermill.yaml has no database `oders`; add `databases: { oders: … }` to ordermill.yaml\n\
             a.yaml:4:18: `limits.drain` 45s is not shorter than `kafka.session_timeout` 45s; begun work must end before the group takes the partition away"
        );
        let mail = "name: a\nsource: { topic: t }\nsink: { mail: { from: a, to: b, subject: c, text: d } }\n";
        let mail = parse(Path::new("a.yaml"), mail.as_bytes()).unwrap();
        assert_eq!(
            fit(&[mail], &config).unwrap_err().to_string(),
            "a.yaml:3:7: ordermill.yaml does not say how mails leave; add `mail: { smtp: { host: … } }` or `mail: { folder: … }`"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ordermill.yaml");
        std::fs::write(
            &file,
            "databases: { orders: { sqlite: { path: o.db } } }\nkafka: { session_timeout: 46s }\n",
        )
        .unwrap();
        let config = load(Some(&file), &Overrides::none()).unwrap();
        let said = fit(&[pipeline], &config).unwrap_err().to_string();
        assert_eq!(
            said,
            "a.yaml:3:26: ordermill.yaml has no database `oders`; did you mean `orders`?"
        );
    }
}
