//! The corpora of all targets as a plain test, without libFuzzer.

use std::path::Path;
use std::time::{Duration, Instant};

/// Kept files are small, and a target is quick; this is a hundred times what it takes.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn every_corpus_passes() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in tongbao_fuzz::TARGETS {
        let folder = corpora.join(name);
        let entries = std::fs::read_dir(&folder);
        let entries = entries.unwrap_or_else(|cause| panic!("{}: {cause}", folder.display()));
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 10, "{name} has {} files", files.len());
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            let begun = Instant::now();
            // A failure's message names the file.
            println!("{}", file.display());
            target(&bytes);
            assert!(begun.elapsed() < LIMIT, "{} took {:?}", file.display(), begun.elapsed());
        }
    }
}

#[test]
fn every_target_has_its_program() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    for (name, _) in tongbao_fuzz::TARGETS {
        let text = std::fs::read_to_string(programs.join(format!("{name}.rs"))).unwrap();
        assert!(text.contains(&format!("tongbao_fuzz::{name}(data)")), "{name}");
    }
}
