//! Rules about what a floor may not do although the compiler would let it: read a clock or throw
//! dice below the engine's ports, and start tasks that nobody waits for.

use super::code::Code;
use super::{Finding, Source};

/// Crates that are given time and randomness as arguments.
const PURE: &[&str] = &["types", "crypt", "wechat", "alipay", "core", "channels", "engine"];

const CLOCKS: &[&str] =
    &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "Uuid::now_v7"];

const DICE: &[&str] = &["rand::", "SystemRandom", "Uuid::new_v4", "getrandom", "OsRng"];

/// Makes keys for tests and the sandbox, and signs, which blinds with randomness.
const DICE_ALLOWED: &str = "crates/tongbao-crypt/";

const SPAWNS: &[&str] = &["tokio::spawn", "task::spawn", "thread::spawn"];

/// Where tasks may be started: each of these waits for its tasks or is the process itself.
const SPAWNS_ALLOWED: &[&str] = &[
    "crates/tongbao-engine/src/jobs/runner.rs",
    "crates/tongbao-store/src/backup.rs",
    "crates/tongbao-store/src/sqlite_loader.rs",
    "crates/tongbao-store/src/sqlite_room.rs",
    "crates/tongbao-store/src/sqlite_writer.rs",
    "crates/tongbao-web/src/serve.rs",
    "crates/tongbao-servers/",
    "crates/tongbao-sandbox/",
    "crates/tongbao-sim/",
    "crates/tongbao/",
    "bench/",
    "xtask/",
];

pub(super) fn findings(source: &Source, code: &Code) -> Vec<Finding> {
    let apart = ["/tests/", "/examples/"].iter().any(|folder| source.path.contains(folder));
    if apart || source.path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let lines = code.lines.iter().zip(&code.in_tests).enumerate();
    let own = lines.filter(|(_, (_, in_tests))| !**in_tests);
    own.flat_map(|(index, (line, _))| line_findings(source, &source.at(index + 1), line)).collect()
}

fn line_findings(source: &Source, place: &str, line: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let first = |words: &[&'static str]| words.iter().find(|w| has_word(line, w)).copied();
    if is_pure(source) {
        found.extend(first(CLOCKS).map(|call| {
            let why = format!("{call}: time is an argument here; the engine has a Clock port");
            Finding::new(place, "clock", why)
        }));
        let dice = first(DICE).filter(|_| !source.path.starts_with(DICE_ALLOWED));
        found.extend(dice.map(|call| {
            let why = format!("{call}: randomness is an argument here; the engine has a Dice port");
            Finding::new(place, "dice", why)
        }));
    }
    let spawn =
        first(SPAWNS).filter(|_| !SPAWNS_ALLOWED.iter().any(|p| source.path.starts_with(p)));
    found.extend(spawn.map(|call| {
        let why = format!("{call} is no promise: what must happen later is a job row");
        Finding::new(place, "spawn", why)
    }));
    found
}

fn is_pure(source: &Source) -> bool {
    let inside = |name: &str| source.path.starts_with(&format!("crates/tongbao-{name}/src/"));
    PURE.iter().any(|name| inside(name))
}

/// Whether `word` stands in `line` and does not continue another word.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::count;

    fn check(rule: &str, path: &str, line: &str, findings: usize) {
        let text = format!("//! A.\nfn f() {{ {line} }}\n");
        assert_eq!(count(rule, path, &text), findings, "{path}: {line}");
    }

    #[test]
    fn clocks_are_found_on_the_pure_floors_only() {
        for name in PURE {
            for call in CLOCKS {
                check("clock", &format!("crates/tongbao-{name}/src/a.rs"), call, 1);
            }
        }
        check("clock", "crates/tongbao-store/src/a.rs", "Instant::now();", 0);
        check("clock", "crates/tongbao-core/src/a.rs", "// Instant::now()", 0);
        check("clock", "crates/tongbao-core/src/a.rs", "\"Instant::now()\";", 0);
        check("clock", "crates/tongbao-core/tests/a.rs", "Instant::now();", 0);
        check("clock", "crates/tongbao-engine/src/a.rs", "tokio::time::sleep(x).await", 0);
    }

    #[test]
    fn dice_are_found_except_where_keys_are_made() {
        for call in DICE {
            check("dice", "crates/tongbao-engine/src/a.rs", call, 1);
            check("dice", "crates/tongbao-crypt/src/rsa.rs", call, 0);
        }
        check("dice", "crates/tongbao-core/src/a.rs", "operand::x()", 0);
    }

    #[test]
    fn tests_may_read_clocks() {
        let text = "//! A.\n#[cfg(test)]\nmod tests {\n    fn f() { Instant::now(); }\n}\n";
        assert_eq!(count("clock", "crates/tongbao-core/src/a.rs", text), 0);
    }

    #[test]
    fn tasks_are_started_in_a_few_places_only() {
        for call in SPAWNS {
            check("spawn", "crates/tongbao-api/src/v1/charges.rs", call, 1);
            check("spawn", "crates/tongbao-engine/src/webhooks.rs", call, 1);
            for allowed in SPAWNS_ALLOWED {
                let path =
                    if allowed.ends_with(".rs") { *allowed } else { &format!("{allowed}a.rs") };
                check("spawn", path, call, 0);
            }
        }
    }
}
