//! The file as a table: its encoding, its heading, its rows with their line numbers.
//!
//! Spreadsheets on Chinese machines save CSV in GB18030, or in UTF-8 with a byte order mark; both
//! are read, as is plain UTF-8. What stands between two fields is seen from the heading.

use crate::config::nearest;
use anyhow::{Context, bail};
use std::collections::HashMap;
use std::fmt;

/// The columns, in the order of the documentation.
pub(super) const COLUMNS: [&str; 13] = [
    "order_no",
    "out_trade_no",
    "amount_fen",
    "amount_yuan",
    "subject",
    "channel",
    "account",
    "profile",
    "created_at",
    "status",
    "provider_trade_no",
    "paid_at",
    "expires_at",
];
/// A column with this before its name becomes an entry of `metadata`.
pub(super) const METADATA: &str = "metadata.";
const NEEDED: [&str; 5] = ["order_no", "subject", "channel", "created_at", "status"];
const COLUMNS_MAX: usize = 100;

/// Something to mend in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// From 1, as editors count.
    line: u64,
    column: String,
    /// What is wrong, and what to write.
    what: String,
}

impl Problem {
    pub(super) fn new(line: u64, column: &str, what: impl Into<String>) -> Problem {
        Problem { line, column: column.to_owned(), what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}: {}", self.line, self.column, self.what)
    }
}

/// One order's fields by column, those that are not empty.
pub(super) struct Row<'a> {
    pub(super) line: u64,
    fields: HashMap<&'a str, String>,
}

impl Row<'_> {
    pub(super) fn get(&self, column: &str) -> Option<&str> {
        self.fields.get(column).map(String::as_str)
    }

    /// Names and values of the merchant's own notes, sorted by name.
    pub(super) fn metadata(&self) -> Vec<(String, String)> {
        let note = |(column, value): (&&str, &String)| {
            Some((column.strip_prefix(METADATA)?.to_owned(), value.clone()))
        };
        let mut all: Vec<(String, String)> = self.fields.iter().filter_map(note).collect();
        all.sort();
        all
    }
}

/// A text with a heading that was read.
pub(super) struct Table<'a> {
    text: &'a str,
    heading: Vec<String>,
    delimiter: u8,
}

/// The file's text.
pub(super) fn read(bytes: &[u8]) -> anyhow::Result<String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        bail!("the file is UTF-16; save it as «CSV UTF-8» in the spreadsheet");
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    let text = encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(bytes);
    let text = text.context("the file is neither UTF-8 nor GB18030; save it as «CSV UTF-8»")?;
    Ok(text.into_owned())
}

impl<'a> Table<'a> {
    /// Reads the heading.
    pub(super) fn new(text: &'a str) -> anyhow::Result<Table<'a>> {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let count = |delimiter: &char| first.matches(*delimiter).count();
        let delimiter = [',', ';', '\t'].into_iter().rev().max_by_key(count).unwrap_or(',');
        let mut table = Table { text, heading: Vec::new(), delimiter: delimiter as u8 };
        let heading = table.reader().records().next();
        let heading = heading.context("the file is empty; its first line names the columns")?;
        let heading = heading.context("the heading cannot be read")?;
        table.heading = heading.iter().map(|name| clean(name).to_ascii_lowercase()).collect();
        Ok(table)
    }

    /// What is wrong with the heading.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let has = |name: &str| self.heading.iter().any(|column| column == name);
        let missing = |name: &str| Problem::new(1, name, "this column is missing");
        let mut all: Vec<Problem> =
            NEEDED.into_iter().filter(|name| !has(name)).map(missing).collect();
        if !has("amount_fen") && !has("amount_yuan") {
            all.push(missing("amount_fen"));
        }
        for (at, name) in self.heading.iter().enumerate() {
            let is_note = name.strip_prefix(METADATA).is_some_and(|note| !note.is_empty());
            if self.heading[..at].contains(name) {
                all.push(Problem::new(1, name, "this column is there twice"));
            } else if name.is_empty() {
                all.push(Problem::new(1, "heading", format!("column {} has no name", at + 1)));
            } else if !is_note && !COLUMNS.contains(&name.as_str()) {
                let near = nearest(name, COLUMNS).unwrap_or_default();
                let what = format!(
                    "there is no such column; the nearest is {near}. What shall be kept as your \
                     own note is named metadata.{name}"
                );
                all.push(Problem::new(1, name, what));
            }
        }
        if self.heading.len() > COLUMNS_MAX {
            all.push(Problem::new(1, "heading", format!("more than {COLUMNS_MAX} columns")));
        }
        all
    }

    /// The orders. Lines in which every field is empty are none.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<Row<'_>, Vec<Problem>>> {
        let records = self.reader().into_records().skip(1);
        let is_blank = |record: &csv::StringRecord| record.iter().all(|field| field.is_empty());
        records
            .filter(move |record| !record.as_ref().is_ok_and(is_blank))
            .map(|record| self.row(record))
    }

    fn row(&self, record: csv::Result<csv::StringRecord>) -> Result<Row<'_>, Vec<Problem>> {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, |at| self.line(at));
            vec![Problem::new(line, "line", error.to_string())]
        })?;
        let line = record.position().map_or(0, |at| self.line(at));
        let (wanted, found) = (self.heading.len(), record.len());
        if found > wanted && record.iter().skip(wanted).any(|field| !field.is_empty()) {
            let what = format!(
                "{found} fields, but the heading has {wanted}; put a field that has a comma in it \
                 in double quotes"
            );
            return Err(vec![Problem::new(line, "line", what)]);
        }
        let named = self.heading.iter().map(String::as_str).zip(record.iter().map(clean));
        let fields = named.filter(|(_, value)| !value.is_empty());
        Ok(Row { line, fields: fields.map(|(name, value)| (name, value.to_owned())).collect() })
    }

    /// The reader counts from where the record before ended, which empty lines may follow.
    fn line(&self, at: &csv::Position) -> u64 {
        let from = usize::try_from(at.byte()).unwrap_or(usize::MAX);
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        at.line() + empty.filter(|byte| **byte == b'\n').count() as u64
    }

    fn reader(&self) -> csv::Reader<&'a [u8]> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .delimiter(self.delimiter)
            .from_reader(self.text.as_bytes())
    }
}

/// Books that spreadsheets must not take for numbers have a tick or a tab before them.
fn clean(field: &str) -> &str {
    field.trim().trim_start_matches(['`', '\'']).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let table = Table::new(text).unwrap();
        let rows = table.rows().filter_map(Result::err).flatten().collect::<Vec<_>>();
        table.problems().iter().chain(&rows).map(ToString::to_string).collect()
    }

    #[test]
    fn both_encodings_of_a_spreadsheet_are_read() {
        let text = "order_no,subject\nA1,龙井茶\n";
        let (gb, _, _) = encoding_rs::GB18030.encode(text);
        for bytes in [text.as_bytes(), &[b"\xef\xbb\xbf", text.as_bytes()].concat(), &gb] {
            assert_eq!(read(bytes).unwrap(), text);
        }
        assert!(read(b"\xff\xfea\0").unwrap_err().to_string().contains("UTF-16"));
        assert!(read(b"a\xff\xff\xff").unwrap_err().to_string().contains("neither"));
    }

    #[test]
    fn columns_may_come_in_any_order_and_between_other_signs() {
        for text in [
            "status,order_no\n\nopen,`A1\n,\n",
            "status;order_no\nopen;A1",
            "status\torder_no\nopen\t'A1",
        ] {
            let table = Table::new(text).unwrap();
            let rows: Vec<Row<'_>> = table.rows().map(|row| row.ok().unwrap()).collect();
            assert_eq!(rows.len(), 1, "{text:?}");
            assert_eq!(rows[0].get("order_no"), Some("A1"), "{text:?}");
            assert_eq!(rows[0].get("status"), Some("open"), "{text:?}");
        }
    }

    #[test]
    fn a_row_knows_its_line_as_an_editor_counts() {
        let wanted = "line 5, line: 3 fields, but the heading has 2; put a field that has a comma \
                      in it in double quotes";
        for end in ["\n", "\r\n"] {
            let text = "order_no,subject|A1,\"two|lines\"||A2,x,y|".replace('|', end);
            assert_eq!(problems(&text).last().unwrap(), wanted, "{end:?}");
        }
    }

    #[test]
    fn a_heading_with_a_wrong_name_tells_the_right_one() {
        let found = problems("order_no,amont_fen,subject,channel,created_at,status,status\n");
        assert_eq!(found[0], "line 1, amount_fen: this column is missing");
        assert!(
            found[1].starts_with(
                "line 1, amont_fen: there is no such column; the nearest is amount_fen."
            )
        );
        assert_eq!(found[2], "line 1, status: this column is there twice");
        assert_eq!(found.len(), 3);
        let own = "order_no,amount_fen,subject,channel,created_at,status,metadata.shop\n";
        assert!(problems(own).is_empty());
        assert!(Table::new("\r\n\n").is_err());
    }
}
