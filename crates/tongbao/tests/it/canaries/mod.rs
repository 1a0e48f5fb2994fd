//! Secrets that can be told from everything else are planted wherever a secret can be, everything
//! goes wrong that can go wrong, and nothing that the program says or keeps shows one of them.

mod gateway;
mod scanner;
mod traffic;
mod wrong;

use gateway::{Gateway, Said};
use scanner::{Canary, FORMS, Leak, Scanner};
use std::collections::BTreeSet;

fn scan(canaries: &[Canary], all: &[Said]) -> Vec<Leak> {
    let scanner = Scanner::new(canaries);
    all.iter().flat_map(|said| scanner.scan(&said.place, &said.bytes)).collect()
}

/// The scanner would find nothing in what is not there.
fn assert_planted(canaries: &[Canary], all: &mut Vec<Said>) {
    for canary in canaries {
        let place = format!("planted: {}", canary.name);
        all.push(Said { place, bytes: canary.bytes.clone() });
    }
    let found: BTreeSet<String> = scan(canaries, all).into_iter().map(|leak| leak.place).collect();
    assert!(canaries.iter().all(|one| found.contains(&format!("planted: {}", one.name))));
    all.truncate(all.len() - canaries.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_shown() {
    let mut gateway = Gateway::start().await;
    let rounds = tongbao_evidence::times(1, 10);
    for number in 0..rounds {
        traffic::round(&mut gateway, number).await;
    }
    let mut everywhere = gateway.logs();
    everywhere.extend(gateway.kept());
    gateway.stop();
    everywhere.extend(gateway.kept_after_the_end());
    let errors = std::mem::take(&mut gateway.answers);
    let (wrong, mut secrets) = wrong::all();
    secrets.append(&mut gateway.secrets);

    let mut hushed = gateway.logs();
    assert!(hushed.iter().all(|said| !contains(&said.bytes, b"panicked")), "something panicked");
    let is_error = |said: &&Said| said.place.contains(": 4") || said.place.contains(": 5");
    let copies = errors.iter().filter(is_error);
    hushed.extend(copies.map(|said| Said { place: said.place.clone(), bytes: said.bytes.clone() }));
    everywhere.extend(errors);
    everywhere.extend(wrong);
    assert_planted(&secrets, &mut everywhere);
    assert_planted(&gateway.private, &mut hushed);

    let mut leaks = scan(&secrets, &everywhere);
    leaks.extend(scan(&gateway.private, &hushed));
    let kinds: BTreeSet<String> = leaks
        .iter()
        .map(|leak| format!("{} as {} in {}", leak.secret, leak.form, leak.place))
        .collect();
    assert!(leaks.is_empty(), "{} leaks: {kinds:#?}\n{:#?}", leaks.len(), leaks.first());

    let n_bytes: usize = everywhere.iter().map(|said| said.bytes.len()).sum();
    let n_secrets = secrets.len() + gateway.private.len();
    std::fs::remove_dir_all(&gateway.folder).unwrap();
    tongbao_evidence::record(
        "no_secret_is_ever_shown",
        "Secrets that can be told from everything else stood in every field that holds one; \
         traffic of all kinds failed in all ways, at the log level trace. Logs, errors, replies, \
         commands, the database, its log and its backup were searched.",
        &[
            ("secrets", n_secrets.to_string()),
            ("forms of each", FORMS.len().to_string()),
            ("places searched", everywhere.len().to_string()),
            ("bytes searched", n_bytes.to_string()),
            ("found", leaks.len().to_string()),
        ],
    );
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
