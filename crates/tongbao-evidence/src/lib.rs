//! What the runs that break tongbao leave behind, for `docs/reference/reliability.md`. Only tests
//! use it; it is never shipped.
//!
//! A run is a test with two lengths: a short one in every `cargo xtask test` and a long one under
//! `cargo xtask reliability`, which sets [`LONG`] and [`FOLDER`], collects what was recorded, and
//! writes the page.

use std::path::{Path, PathBuf};

/// Set in the environment: runs take their long form.
pub const LONG: &str = "TONGBAO_LONG";

/// Names in the environment the folder that takes the records. Unset, nothing is kept.
pub const FOLDER: &str = "TONGBAO_EVIDENCE";

/// How often to do it: `short` in every test run, `long` when somebody asked for it.
pub fn times(short: u64, long: u64) -> u64 {
    if std::env::var_os(LONG).is_some() { long } else { short }
}

/// Keeps what a run found. Call it last, after everything was checked: what is recorded passed.
///
/// `run` is the name of the test, `broken` says in one sentence what was done to tongbao, `counts`
/// are what was counted, each with its unit in the name («rounds», «slowest start, ms»).
pub fn record(run: &str, broken: &str, counts: &[(&str, String)]) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        keep(&PathBuf::from(folder), run, broken, counts);
    }
}

/// The first line says what was broken, each further one is a name, a tab and a value.
fn keep(folder: &Path, run: &str, broken: &str, counts: &[(&str, String)]) {
    let lines = counts.iter().map(|(name, value)| format!("{name}\t{value}\n"));
    let text = format!("{broken}\n{}", lines.collect::<String>());
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join(format!("{run}.txt")), text));
    if let Err(cause) = written {
        panic!("the record of {run} cannot be written to {}: {cause}", folder.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_sentence_and_its_counts() {
        let folder = std::env::temp_dir().join(format!("tongbao-evidence-{}", std::process::id()));
        keep(&folder, "a_run", "It was hit.", &[("rounds", "20".into()), ("lost", "0".into())]);
        let text = std::fs::read_to_string(folder.join("a_run.txt")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(text, "It was hit.\nrounds\t20\nlost\t0\n");
    }
}
