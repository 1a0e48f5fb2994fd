//! Takes a bill apart, line by line, with the memory of one line.
//!
//! Not CSV: cells are led by a backtick and hold bare commas, so rows are split on `` ,` ``. Every
//! bill ends with a summary; one without it was cut off.

use super::columns::{FREE_TEXT, position};
use std::io::{BufRead, ErrorKind, Read};
use std::ops::Range;

/// The longest line that is read, in bytes; real ones stay below 2 KiB.
pub const BILL_LINE_BYTES_MAX: usize = 64 * 1024;

/// Why a bill cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the bill: {problem}")]
pub struct BillError {
    /// The line, from 1; one after the last if the bill ends too early.
    pub line: u64,
    /// What is wrong there.
    pub problem: BillProblem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BillProblem {
    /// The source failed.
    #[error("cannot be read: {0}")]
    Io(ErrorKind),
    /// More than [`BILL_LINE_BYTES_MAX`].
    #[error("it is longer than 64 KiB")]
    TooLong,
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// The bill does not begin with the names of its columns.
    #[error("the names of the columns should be here")]
    NoHeader,
    /// A name comes twice, so cells cannot be told by name.
    #[error("the column {0} comes twice")]
    Duplicate(String),
    /// Another number of cells than the header has.
    #[error("it has {found} cells, and the header {wanted}")]
    Cells {
        /// The line's.
        found: usize,
        /// The header's.
        wanted: usize,
    },
    /// The values of the summary should be here.
    #[error("the values of the summary should be here")]
    NoSummary,
    /// Something follows the summary.
    #[error("the bill should have ended with its summary")]
    Trailing,
    /// It ends without a summary.
    #[error("the bill ends without its summary, so it was cut off")]
    Cut,
    /// A column that is needed is not in the header.
    #[error("the column {0} is missing")]
    Column(&'static str),
    /// A cell is not in its form.
    #[error("{column} is {text:?}, which is {problem}")]
    Cell {
        /// The column.
        column: &'static str,
        /// What stands there, cut after 40 characters.
        text: String,
        /// What is wrong with it, to stand after "which is".
        problem: &'static str,
    },
}

/// The two last lines of a bill: names and texts. Sums are in yuan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BillSummary(Vec<(String, String)>);

impl BillSummary {
    /// The text under this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, text)| text.as_str())
    }

    /// Names and texts in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

/// One row of a bill.
#[derive(Debug, Clone, Copy)]
pub struct BillRow<'a> {
    text: &'a str,
    cells: &'a [Range<usize>],
    names: &'a [String],
    line: u64,
}

impl<'a> BillRow<'a> {
    /// The text of the column at this place, empty if there is none. [`BillLines::column`] tells
    /// places; asking by place is quicker than by name.
    pub fn at(&self, place: usize) -> &'a str {
        self.cells.get(place).and_then(|cell| self.text.get(cell.clone())).unwrap_or("")
    }

    /// The text of the column of this name, if the bill has it.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        position(self.names, name).map(|place| self.at(place))
    }

    /// Names and texts in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.names.iter().enumerate().map(|(place, name)| (name.as_str(), self.at(place)))
    }

    /// Its line in the bill, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn error(
        &self,
        column: &'static str,
        problem: &'static str,
        text: &str,
    ) -> BillError {
        let text = text.chars().take(40).collect();
        BillError { line: self.line, problem: BillProblem::Cell { column, text, problem } }
    }
}

#[derive(Debug)]
enum Place {
    Header,
    Rows,
    Summary(Vec<String>),
    End(BillSummary),
}

/// Reads a bill from lines that the caller brings.
#[derive(Debug)]
pub struct BillLines {
    place: Place,
    names: Vec<String>,
    /// The columns that people write, if there are any.
    free: Option<Range<usize>>,
    cells: Vec<Range<usize>>,
    line: u64,
}

impl Default for BillLines {
    fn default() -> BillLines {
        BillLines::new()
    }
}

impl BillLines {
    /// Before the first line.
    pub const fn new() -> BillLines {
        BillLines {
            place: Place::Header,
            names: Vec::new(),
            free: None,
            cells: Vec::new(),
            line: 0,
        }
    }

    /// Takes the next line, with or without its end, and gives the row if it is one.
    pub fn take<'a>(&'a mut self, text: &'a str) -> Result<Option<BillRow<'a>>, BillError> {
        Ok(if self.accept(text)? { Some(self.row(text)) } else { None })
    }

    /// The names of the columns, once the first line was taken.
    pub fn columns(&self) -> &[String] {
        &self.names
    }

    /// Where the column of this name stands.
    pub fn column(&self, name: &str) -> Option<usize> {
        position(&self.names, name)
    }

    /// The summary, after the last line.
    pub fn end(&self) -> Result<&BillSummary, BillError> {
        match &self.place {
            Place::End(summary) => Ok(summary),
            _ => Err(BillError { line: self.line + 1, problem: BillProblem::Cut }),
        }
    }

    pub(super) fn error(&self, problem: BillProblem) -> BillError {
        BillError { line: self.line, problem }
    }

    /// Takes a line, and tells whether it is a row.
    fn accept(&mut self, text: &str) -> Result<bool, BillError> {
        self.line += 1;
        let text = bare(text);
        if text.is_empty() && !matches!(self.place, Place::Header) {
            return Ok(false);
        }
        let quoted = text.starts_with('`');
        match &self.place {
            Place::Header => self.header(text).map(|()| false),
            Place::Rows if quoted => self.split(text).map(|()| true),
            Place::Rows => {
                self.place = Place::Summary(names(text));
                Ok(false)
            }
            Place::Summary(_) if quoted => self.summary(text).map(|()| false),
            Place::Summary(_) => Err(self.error(BillProblem::NoSummary)),
            Place::End(_) => Err(self.error(BillProblem::Trailing)),
        }
    }

    /// The row of the line that was accepted last.
    fn row<'a>(&'a self, text: &'a str) -> BillRow<'a> {
        BillRow { text: bare(text), cells: &self.cells, names: &self.names, line: self.line }
    }

    fn header(&mut self, text: &str) -> Result<(), BillError> {
        let names = names(text);
        if names.len() < 2 || text.contains(['`', '<']) {
            return Err(self.error(BillProblem::NoHeader));
        }
        for (place, name) in names.iter().enumerate() {
            if names[..place].contains(name) {
                return Err(self.error(BillProblem::Duplicate(name.chars().take(40).collect())));
            }
        }
        self.free = free_columns(&names);
        self.names = names;
        self.place = Place::Rows;
        Ok(())
    }

    /// Finds the cells of a line that begins with a backtick.
    fn split(&mut self, text: &str) -> Result<(), BillError> {
        let wanted = self.names.len();
        self.cells.clear();
        let mut start = 1;
        for (comma, _) in text.match_indices(",`") {
            self.cells.push(start..comma);
            start = comma + 2;
        }
        self.cells.push(start..text.len());
        if self.cells.len() > wanted {
            self.join_free(self.cells.len() - wanted);
        }
        match self.cells.len() {
            found if found == wanted => Ok(()),
            found => Err(self.error(BillProblem::Cells { found, wanted })),
        }
    }

    /// A payer or cashier who writes `` ,` `` into a name of goods makes cells too many. What is
    /// left and right of the free texts is still certain, so the surplus goes to the first of
    /// them: nobody can spoil a day's bill by a name.
    fn join_free(&mut self, surplus: usize) {
        let Some(free) = &self.free else { return };
        let end = self.cells[free.start + surplus].end;
        self.cells[free.start].end = end;
        self.cells.drain(free.start + 1..=free.start + surplus);
    }

    fn summary(&mut self, text: &str) -> Result<(), BillError> {
        let Place::Summary(names) = std::mem::replace(&mut self.place, Place::Rows) else {
            return Err(self.error(BillProblem::NoSummary));
        };
        let values: Vec<&str> = text[1..].split(",`").collect();
        if values.len() != names.len() {
            let (found, wanted) = (values.len(), names.len());
            return Err(self.error(BillProblem::Cells { found, wanted }));
        }
        let values = values.into_iter().map(str::to_owned);
        self.place = Place::End(BillSummary(names.into_iter().zip(values).collect()));
        Ok(())
    }
}

/// A line without its end; the first one may have a byte order mark.
fn bare(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).collect()
}

/// The span of the columns that people write, if nothing else stands among them.
fn free_columns(names: &[String]) -> Option<Range<usize>> {
    let free = |name: &String| FREE_TEXT.contains(&name.as_str());
    let start = names.iter().position(free)?;
    let end = names.iter().rposition(free)? + 1;
    names[start..end].iter().all(free).then_some(start..end)
}

/// Reads a bill from a source, which may be a decompressor; it is read once and never held whole.
#[derive(Debug)]
pub struct BillReader<R> {
    source: R,
    lines: BillLines,
    /// The line read last; its room is used again.
    text: String,
}

impl<R: BufRead> BillReader<R> {
    /// Reads the header.
    pub fn new(source: R) -> Result<BillReader<R>, BillError> {
        let mut reader = BillReader { source, lines: BillLines::new(), text: String::new() };
        if !reader.read_line()? {
            return Err(BillError { line: 1, problem: BillProblem::NoHeader });
        }
        reader.lines.accept(&reader.text)?;
        Ok(reader)
    }

    /// The next row, or `None` after the last; then [`BillReader::summary`] has the rest. After an
    /// error the bill is not read any further.
    pub fn next_row(&mut self) -> Result<Option<BillRow<'_>>, BillError> {
        while self.read_line()? {
            if self.lines.accept(&self.text)? {
                return Ok(Some(self.lines.row(&self.text)));
            }
        }
        self.lines.end()?;
        Ok(None)
    }

    /// The names of the columns and their places.
    pub fn lines(&self) -> &BillLines {
        &self.lines
    }

    /// The summary, after the last row.
    pub fn summary(&self) -> Result<&BillSummary, BillError> {
        self.lines.end()
    }

    /// Whether there was another line.
    fn read_line(&mut self) -> Result<bool, BillError> {
        let line = self.lines.line + 1;
        let wrong = |problem| BillError { line, problem };
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        bytes.clear();
        let max = u64::try_from(BILL_LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let read = self.source.by_ref().take(max + 1).read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| wrong(BillProblem::Io(error.kind())))?;
        if read > BILL_LINE_BYTES_MAX {
            return Err(wrong(BillProblem::TooLong));
        }
        self.text = String::from_utf8(bytes).map_err(|_| wrong(BillProblem::NotUtf8))?;
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str = "\u{feff}交易时间,商品名称,商户数据包,手续费\r\n";
    const TAIL: &str = "总交易单数,手续费总金额\r\n`2.0,`0.01\r\n";

    fn read(text: &str) -> Result<(Vec<Vec<String>>, BillSummary), BillError> {
        let mut reader = BillReader::new(text.as_bytes())?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row()? {
            rows.push(row.iter().map(|(_, text)| text.to_owned()).collect());
        }
        Ok((rows, reader.summary()?.clone()))
    }

    fn problem(text: &str) -> (u64, BillProblem) {
        let error = read(text).unwrap_err();
        (error.line, error.problem)
    }

    #[test]
    fn cells_hold_commas_and_may_be_empty() {
        let (rows, summary) =
            read(&format!("{HEAD}`t1,`苹果,2斤,`,`0.00\r\n`t2,`,`{{\"a\":1}},`\r\n{TAIL}"))
                .unwrap();
        assert_eq!(rows, [["t1", "苹果,2斤", "", "0.00"], ["t2", "", "{\"a\":1}", ""]]);
        assert_eq!(summary.get("总交易单数"), Some("2.0"));
        assert_eq!(summary.iter().last(), Some(("手续费总金额", "0.01")));
    }

    #[test]
    fn line_ends_and_the_mark_do_not_matter() {
        let bare = format!("{HEAD}`a,`b,`c,`d\r\n{TAIL}").replace(['\r', '\u{feff}'], "");
        assert_eq!(read(&bare).unwrap().0, [["a", "b", "c", "d"]]);
        assert_eq!(read(bare.trim_end()).unwrap().0.len(), 1, "the last end may be absent");
        assert_eq!(read(&format!("{bare}\n\n")).unwrap().0.len(), 1, "blank lines at the end");
        assert_eq!(read(&format!("{HEAD}{TAIL}")).unwrap().0.len(), 0, "a day without trades");
    }

    #[test]
    fn nobody_spoils_a_bill_by_a_name_of_goods() {
        let (rows, _) = read(&format!("{HEAD}`t1,`a,`b,`c,`x,`0.01\r\n{TAIL}")).unwrap();
        assert_eq!(rows, [["t1", "a,`b,`c", "x", "0.01"]]);
        let no_free = "交易时间,手续费\n`t1,`a,`0.01\n";
        assert_eq!(problem(no_free), (2, BillProblem::Cells { found: 3, wanted: 2 }));
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let cells = |found, wanted| BillProblem::Cells { found, wanted };
        assert_eq!(problem(""), (1, BillProblem::NoHeader));
        assert_eq!(problem("<xml></xml>"), (1, BillProblem::NoHeader));
        assert_eq!(problem("`a,`b\n"), (1, BillProblem::NoHeader));
        assert_eq!(problem("a,b,a\n"), (1, BillProblem::Duplicate("a".to_owned())));
        assert_eq!(problem(&format!("{HEAD}`a,`b,`c\r\n{TAIL}")), (2, cells(3, 4)));
        assert_eq!(problem(&format!("{HEAD}`a,`b,`c,`d\r\n")), (3, BillProblem::Cut));
        assert_eq!(problem(&format!("{HEAD}总交易单数\r\n")), (3, BillProblem::Cut));
        assert_eq!(problem(&format!("{HEAD}x,y\r\nz\r\n")), (3, BillProblem::NoSummary));
        assert_eq!(problem(&format!("{HEAD}x,y\r\n`1\r\n")), (3, cells(1, 2)));
        assert_eq!(problem(&format!("{HEAD}{TAIL}`a,`b,`c,`d\r\n")), (4, BillProblem::Trailing));
        let long = format!("{HEAD}`{}", "a".repeat(BILL_LINE_BYTES_MAX));
        assert_eq!(problem(&long), (2, BillProblem::TooLong));
        let mut reader = BillReader::new(&b"a,b\n`\xff,`b\n"[..]).unwrap();
        let error = reader.next_row().unwrap_err();
        assert_eq!((error.line, &error.problem), (2, &BillProblem::NotUtf8));
        assert_eq!(error.to_string(), "line 2 of the bill: it is not UTF-8");
    }

    #[test]
    fn a_source_that_fails_is_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(ErrorKind::ConnectionReset.into())
            }
        }
        let source = std::io::BufReader::new("a,b\n".as_bytes().chain(Broken));
        let error = BillReader::new(source).and_then(|mut r| r.next_row().map(|_| ())).unwrap_err();
        assert_eq!(error.problem, BillProblem::Io(ErrorKind::ConnectionReset));
    }

    #[test]
    fn lines_can_be_brought_one_by_one_and_new_columns_are_kept_by_name() {
        let mut lines = BillLines::new();
        assert!(lines.take("\u{feff}交易时间,新的一列\r\n").unwrap().is_none());
        assert_eq!(lines.columns(), ["交易时间", "新的一列"]);
        assert_eq!((lines.column("新的一列"), lines.column("费率")), (Some(1), None));
        let row = lines.take("`t1,`news").unwrap().unwrap();
        assert_eq!((row.get("新的一列"), row.get("费率")), (Some("news"), None));
        assert_eq!((row.at(0), row.at(9), row.line()), ("t1", "", 2));
        assert!(lines.end().is_err());
        assert!(lines.take("x").unwrap().is_none());
        assert!(lines.take("`1.0").unwrap().is_none());
        assert_eq!(lines.end().unwrap().get("x"), Some("1.0"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s)[a`,<\r\n\u{feff}商]{0,200}") {
            let _ = read(&text);
            let _ = read(&format!("{HEAD}{text}"));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(mut reader) = BillReader::new(&bytes[..]) {
                while let Ok(Some(_)) = reader.next_row() {}
            }
        }

        #[test]
        fn whatever_a_name_of_goods_holds_the_rest_is_certain(name in "[^\r\n]{0,60}") {
            let (rows, _) = read(&format!("{HEAD}`t1,`{name},`,`0.01\r\n{TAIL}")).unwrap();
            prop_assert_eq!(&rows[0][0], "t1");
            prop_assert_eq!(&rows[0][3], "0.01");
        }
    }
}
