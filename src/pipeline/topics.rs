//! The topics that pipeline files name, and what each must be like. Pure.

use std::collections::BTreeMap;
use std::fmt;

use super::spec::Pipeline;

/// A topic that files name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// By whom, and what for.
    pub uses: Vec<Use>,
}

/// What a pipeline does with a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The pipeline.
    pub pipeline: String,
    /// What for.
    pub role: Role,
    /// The source topics whose records go here.
    pub like: Vec<String>,
}

/// What a topic is to a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It reads it.
    Source,
    /// Its sink writes it.
    Output,
    /// Its sink writes it, and records keep the number of their partition.
    SameOutput,
    /// Its bad records go there.
    DeadLetters,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.role {
            Role::Source => "source",
            Role::Output | Role::SameOutput => "output",
            Role::DeadLetters => "dead letters",
        };
        write!(f, "{what} of {}", self.pipeline)
    }
}

impl Named {
    /// Is it only for dead letters?
    pub fn is_dead_letters(&self) -> bool {
        self.uses.iter().all(|of| of.role == Role::DeadLetters)
    }

    /// How many partitions it must have at least, as `counts` are; with whom it must agree.
    pub fn least(&self, counts: &BTreeMap<String, i32>) -> Option<(i32, &Use)> {
        let wants =
            self.uses.iter().filter(|of| matches!(of.role, Role::SameOutput | Role::DeadLetters));
        wants.filter_map(|of| Some((of.count(counts)?, of))).max_by_key(|(count, _)| *count)
    }
}

impl Use {
    fn count(&self, counts: &BTreeMap<String, i32>) -> Option<i32> {
        self.like.iter().filter_map(|source| counts.get(source).copied()).max()
    }
}

/// Every topic that these files name, once: sources, then outputs, then dead letters.
pub fn named(pipelines: &[Pipeline]) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    let mut add = |name: &str, of: Use| match all.iter_mut().find(|named| named.name == name) {
        Some(named) => named.uses.push(of),
        None => all.push(Named { name: name.to_owned(), uses: vec![of] }),
    };
    let of = |pipeline: &Pipeline, role, like: &[String]| Use {
        pipeline: pipeline.name.clone(),
        role,
        like: like.to_vec(),
    };
    for pipeline in pipelines {
        for topic in &pipeline.source.topics {
            add(topic, of(pipeline, Role::Source, &[]));
        }
    }
    for pipeline in pipelines {
        let role = if pipeline.keeps_partitions() { Role::SameOutput } else { Role::Output };
        for topic in pipeline.outputs() {
            add(topic, of(pipeline, role, &pipeline.source.topics));
        }
    }
    for pipeline in pipelines {
        for topic in &pipeline.source.topics {
            let letters = pipeline.dead_letter_topic(topic);
            add(&letters, of(pipeline, Role::DeadLetters, std::slice::from_ref(topic)));
        }
    }
    all
}

/// How many partitions each of these has, or will have once it is made: a source gets `sources`, what is
/// written as many as the sources that it is written from.
pub fn counts(
    named: &[Named],
    there: &BTreeMap<String, i32>,
    sources: i32,
) -> BTreeMap<String, i32> {
    let begin = |topic: &Named| match there.get(&topic.name) {
        Some(count) => *count,
        None if topic.uses.iter().any(|of| of.role == Role::Source) => sources,
        None => 1,
    };
    let mut counts: BTreeMap<String, i32> =
        named.iter().map(|topic| (topic.name.clone(), begin(topic))).collect();
    // One may be written from another that is written from a third: a round for each link at most.
    for _ in named {
        for topic in named.iter().filter(|topic| !there.contains_key(&topic.name)) {
            let wanted = topic.uses.iter().filter_map(|of| of.count(&counts)).max().unwrap_or(1);
            counts.entry(topic.name.clone()).and_modify(|count| *count = wanted.max(*count));
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pipeline: &str, role: Role, like: &[&str]) -> Use {
        let like = like.iter().map(|topic| (*topic).to_owned()).collect();
        Use { pipeline: pipeline.to_owned(), role, like }
    }

    fn topic(name: &str, uses: &[Use]) -> Named {
        Named { name: name.to_owned(), uses: uses.to_vec() }
    }

    #[test]
    fn what_is_written_has_the_count_of_its_source_through_chains_and_circles() {
        let named = [
            topic("a", &[of("p", Role::Source, &[]), of("r", Role::Output, &["c"])]),
            topic("b", &[of("q", Role::Source, &[]), of("p", Role::SameOutput, &["a"])]),
            topic("c", &[of("r", Role::Source, &[]), of("q", Role::Output, &["b"])]),
            topic("c.dlq", &[of("r", Role::DeadLetters, &["c"])]),
        ];
        let none = BTreeMap::new();
        let all = counts(&named, &none, 6);
        assert!(all.values().all(|count| *count == 6), "{all:?}");
        let there = BTreeMap::from([("a".to_owned(), 12), ("b".to_owned(), 3)]);
        let all = counts(&named, &there, 6);
        let counts: Vec<_> = ["a", "b", "c", "c.dlq"].map(|name| all[name]).into();
        assert_eq!(counts, [12, 3, 6, 6]);
        let (least, who) = named[1].least(&all).unwrap();
        assert_eq!((least, who.pipeline.as_str()), (12, "p"));
        assert_eq!(named[2].least(&all), None);
    }
}
