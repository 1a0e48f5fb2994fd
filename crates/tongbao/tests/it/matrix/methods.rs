//! Methods that an address does not take.

use super::Matrix;
use super::caller::Ask;
use std::collections::BTreeSet;

const ALL: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Every method but those in `known` is 405, and `Allow` says which are taken. HEAD goes with GET
/// where `known` does not say otherwise (`-HEAD`).
pub(super) async fn refuse_others(matrix: &mut Matrix<'_>, target: &str, known: &[String]) {
    let mut taken: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    let without_head = taken.remove("-HEAD");
    if taken.contains("GET") && !without_head {
        taken.insert("HEAD");
    }
    for method in ALL.iter().filter(|method| !taken.contains(*method)) {
        let reply = matrix.send(&Ask::new(method, target)).await;
        assert_eq!(reply.status, 405, "{method} {target}: {}", reply.text());
        let allow = reply.header("allow").unwrap_or_else(|| panic!("{method} {target}: no Allow"));
        let mut allowed: BTreeSet<&str> = allow.split(',').map(str::trim).collect();
        if without_head {
            // axum names HEAD wherever there is a GET; asking for it is refused all the same.
            allowed.remove("HEAD");
        }
        assert_eq!(allowed, taken, "{method} {target}");
    }
}
