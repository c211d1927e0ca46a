//! Pipeline files on disk: one, several, or all of a directory.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::read::{BYTES_MAX, pipeline, salvage};
use super::{Pipeline, Place, Problem, Problems};
use crate::config::grammar::When;
use crate::config::yaml;

/// How many files are read at once.
const FILES_MAX: usize = 1000;

/// Reads one pipeline file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(file: &Path) -> Result<Pipeline, Problems> {
    let node = yaml::read_file(file, BYTES_MAX)?;
    pipeline(file, &node, When::Now)
}

/// What was read of pipeline files.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Those that are right as files.
    pub right: Vec<Pipeline>,
    /// What could be read of the others: for what can be said of their expressions, not to be run.
    pub wrong: Vec<Pipeline>,
    /// Everything that is wrong.
    pub problems: Problems,
}

/// Reads pipeline files, and all `*.yaml` and `*.yml` of directories in the order of their names. A file
/// that is named twice is read once.
///
/// # Errors
/// Everything that is wrong with any of them, names and groups that two of them share, directories that
/// hold none.
pub fn read_all<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Pipeline>, Problems> {
    let Found { right, problems, .. } = find(paths);
    problems.or(right)
}

/// Reads them as [`read_all`] does and answers all that could be read.
pub fn find<P: AsRef<Path>>(paths: &[P]) -> Found {
    let Found { mut right, mut wrong, mut problems } = Found::default();
    let mut files = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        match files_of(path) {
            Ok(found) => files.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|file| seen.insert(fs::canonicalize(file).unwrap_or_else(|_| file.clone())));
    if let Some(file) = files.get(FILES_MAX) {
        let what = format!("is more than the {FILES_MAX} files that are read at once");
        let problems = Problem::new(file, Place::WHOLE, what).into();
        return Found { problems, ..Found::default() };
    }
    for file in &files {
        let read = yaml::read_file(file, BYTES_MAX);
        match read.and_then(|node| {
            pipeline(file, &node, When::Now).inspect_err(|_| wrong.extend(salvage(file, &node)))
        }) {
            Ok(pipeline) => right.push(pipeline),
            Err(found) => problems.append(found),
        }
    }
    shared(&right, &mut problems);
    Found { right, wrong, problems }
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    let cannot = |error: std::io::Error| {
        Problem::new(path, Place::WHOLE, format!("cannot be read: {error}"))
    };
    if !fs::metadata(path).map_err(cannot)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(cannot)? {
        let file = entry.map_err(cannot)?.path();
        let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let yaml =
            file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if yaml && !hidden && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(Problem::new(path, Place::WHOLE, "holds no *.yaml and no *.yml file")),
        false => Ok(files),
    }
}

/// No two pipelines may share a name, and no two a group: each would take the other's records.
fn shared(pipelines: &[Pipeline], problems: &mut Problems) {
    let mut names = HashMap::new();
    let mut groups = HashMap::new();
    for pipeline in pipelines {
        let Pipeline { file, name, source, places, .. } = pipeline;
        if let Some(other) = names.insert(name, file) {
            let what = format!("the name `{name}` is used in {} already", other.display());
            problems.push(Problem::new(file, places.name, what).hint("a name is used once"));
        } else if let Some(other) = groups.insert(&source.group, file) {
            let what =
                format!("the group `{}` is used in {} already", source.group, other.display());
            let hint = "two pipelines of one group would take each other's records";
            problems.push(Problem::new(file, places.group, what).hint(hint));
        }
    }
}
