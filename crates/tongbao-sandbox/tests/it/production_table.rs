//! The table of production's answers (`production.txt`): four operations on an order in five states
//! at each provider. Other crates' tests compare with it, too.

use std::collections::BTreeMap;

const TABLE: &str = include_str!("production.txt");

/// A cell: which operation in which state, and the members of the answer.
pub(crate) struct Cell {
    pub(crate) operation: String,
    pub(crate) state: String,
    pub(crate) members: BTreeMap<String, String>,
}

/// The cells of a provider.
pub(crate) fn cells(provider: &str) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let [whose, operation, state] = *name.split(' ').collect::<Vec<_>>() else {
                panic!("{line}")
            };
            let (operation, state) = (format!("{whose} {operation}"), state.to_owned());
            cells.push(Cell { operation, state, members: BTreeMap::new() });
        } else if let Some((name, value)) = line.split_once(" =") {
            let cell = cells.last_mut().unwrap();
            cell.members.insert(name.to_owned(), value.trim_start().to_owned());
        }
    }
    let mine = |cell: &Cell| cell.operation.starts_with(provider);
    cells.into_iter().filter(mine).collect()
}

/// Members in braces differ each time, but are there.
pub(crate) fn assert_alike(cell: &Cell, answer: &BTreeMap<String, String>) {
    let what = format!("{} {}: {answer:?}", cell.operation, cell.state);
    assert!(cell.members.keys().eq(answer.keys()), "{what}");
    for (name, wanted) in &cell.members {
        match wanted.strip_prefix('{') {
            None => assert_eq!(&answer[name], wanted, "{name} of {what}"),
            Some(_) => assert!(!answer[name].is_empty(), "{name} of {what}"),
        }
    }
}

#[test]
fn the_table_has_forty_cells() {
    for provider in ["wechat", "alipay"] {
        let cells = cells(provider);
        assert_eq!(cells.len(), 20);
        assert!(cells.iter().all(|cell| cell.members.len() >= 2));
    }
}
