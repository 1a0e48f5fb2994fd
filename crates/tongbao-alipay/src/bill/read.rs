//! Reading a bill line by line. Sizes are bounded, and a file that ends before its list does is
//! refused, since half a bill would look like missing payments.

use super::line::{FundLine, TradeLine};
use super::{BillError, BillFault, BillKind};
use crate::beijing;
use encoding_rs::GB18030;
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use zip::ZipArchive;

const FILES_MAX: usize = 20;
const LINE_MAX: usize = 64 * 1024;
/// Lines before the header, at most.
const PREAMBLE_MAX: u64 = 20;
/// No bill of a day or a month is larger, unpacked.
const FILE_MAX: u64 = 16 << 30;

/// Bills pack to a twentieth. What unpacks to more than so many times its size, beyond the first
/// quarter of a MiB, was made to fill memory or time.
const PACKED_TIMES_MAX: u64 = 200;
const PACKED_FREE_BYTES: u64 = 256 * 1024;
/// The end of a zip is found in so many bytes: its own 22 and a comment.
const ZIP_END_BYTES: u64 = 22 + 65_535;

/// The zip of a bill.
pub struct BillArchive<R>(ZipArchive<R>);

/// A file of a bill, read line by line.
pub struct BillReader<R> {
    input: R,
    file: String,
    line: u64,
    kind: BillKind,
    account: String,
    columns: Columns,
    buffer: Vec<u8>,
    text: String,
    cells: Vec<Range<usize>>,
    has_ended: bool,
    declared: Vec<(String, u64)>,
}

/// A line of a list. Cells are trimmed.
pub struct BillRow<'a> {
    file: &'a str,
    line: u64,
    columns: &'a Columns,
    text: &'a str,
    cells: &'a [Range<usize>],
}

/// The header: names as they stand, and with half-width parentheses for comparing.
struct Columns {
    names: Vec<String>,
    plain: Vec<String>,
}

impl<R: Read + Seek> BillArchive<R> {
    /// Opens the zip. How many files it has is looked at before its list of them is read, which
    /// may be long.
    pub fn open(mut input: R) -> Result<BillArchive<R>, BillError> {
        let io = |error: io::Error| of_zip(BillFault::Io(error.to_string()));
        match files_told(&mut input).map_err(io)? {
            Some(files) if files > FILES_MAX => {
                return Err(of_zip(BillFault::TooManyFiles(files)));
            }
            _ => {}
        }
        let zip = ZipArchive::new(input).map_err(broken)?;
        if zip.len() > FILES_MAX {
            return Err(of_zip(BillFault::TooManyFiles(zip.len())));
        }
        Ok(BillArchive(zip))
    }

    /// Opens the file of a kind, whatever its name and its place.
    pub fn file(&mut self, kind: BillKind) -> Result<BillReader<Box<dyn BufRead + '_>>, BillError> {
        for index in 0..self.0.len() {
            if kind_of(&mut self.0, index)? == Some(kind) {
                let file = self.0.by_index(index).map_err(broken)?;
                let name = GB18030.decode_without_bom_handling(file.name_raw()).0.into_owned();
                let in_proportion = file.compressed_size().saturating_mul(PACKED_TIMES_MAX);
                let left = FILE_MAX.min(in_proportion.saturating_add(PACKED_FREE_BYTES));
                let text = BufReader::new(Unpacking { text: file, left });
                return BillReader::open(&name, Box::new(text));
            }
        }
        Err(of_zip(BillFault::Absent(kind.title())))
    }
}

/// How many files the end of a zip tells of.
fn files_told(input: &mut (impl Read + Seek)) -> io::Result<Option<usize>> {
    let length = input.seek(SeekFrom::End(0))?;
    input.seek(SeekFrom::Start(length.saturating_sub(ZIP_END_BYTES)))?;
    let mut end = Vec::new();
    input.take(ZIP_END_BYTES).read_to_end(&mut end)?;
    let at = end.windows(4).rposition(|four| four == b"PK\x05\x06");
    let count = at.and_then(|at| end.get(at + 10..at + 12));
    Ok(count.map(|two| usize::from(u16::from_le_bytes([two[0], two[1]]))))
}

/// Unpacks, as long as what comes out is in proportion to what went in.
struct Unpacking<R> {
    text: R,
    left: u64,
}

impl<R: Read> Read for Unpacking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.text.read(buffer)?;
        let left = self.left.checked_sub(n as u64);
        let why = || format!("it unpacks to more than {PACKED_TIMES_MAX} times its size");
        self.left = left.ok_or_else(|| io::Error::other(why()))?;
        Ok(n)
    }
}

fn kind_of<R: Read + Seek>(
    zip: &mut ZipArchive<R>,
    index: usize,
) -> Result<Option<BillKind>, BillError> {
    let mut first = Vec::new();
    let file = zip.by_index(index).map_err(broken)?;
    BufReader::new(file.take(200))
        .read_until(b'\n', &mut first)
        .map_err(|error| of_zip(BillFault::Io(error.to_string())))?;
    Ok(BillKind::from_title(decode(&first).trim()))
}

fn broken(error: zip::result::ZipError) -> BillError {
    of_zip(BillFault::Zip(error.to_string()))
}

const fn of_zip(fault: BillFault) -> BillError {
    BillError { file: String::new(), line: 0, fault }
}

impl<R: BufRead> BillReader<R> {
    /// Reads up to the header. `file` is the name that errors bear.
    pub fn open(file: &str, input: R) -> Result<BillReader<R>, BillError> {
        let mut reader = BillReader {
            input,
            file: file.to_owned(),
            line: 0,
            kind: BillKind::TradeDetail,
            account: String::new(),
            columns: Columns { names: Vec::new(), plain: Vec::new() },
            buffer: Vec::new(),
            text: String::new(),
            cells: Vec::new(),
            has_ended: false,
            declared: Vec::new(),
        };
        reader.next_line()?;
        let kind = BillKind::from_title(reader.text.trim());
        reader.kind = kind.ok_or_else(|| reader.error(BillFault::NotABill))?;
        reader.read_header()?;
        Ok(reader)
    }

    /// Which file this is.
    pub const fn kind(&self) -> BillKind {
        self.kind
    }

    /// The account that the file names: the PID followed by `0156`.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The columns' names, in their order, as they stand in the file.
    pub fn columns(&self) -> &[String] {
        &self.columns.names
    }

    /// The next line of the list; `None` after the last one.
    pub fn next_row(&mut self) -> Result<Option<BillRow<'_>>, BillError> {
        loop {
            if self.has_ended {
                self.read_footer()?;
                return Ok(None);
            }
            if !self.next_line()? {
                return Err(self.error(BillFault::Truncated));
            }
            if self.text.starts_with('#') {
                self.has_ended = self.text.contains("列表结束");
            } else if !self.text.trim().is_empty() {
                break;
            }
        }
        self.split()?;
        let BillReader { file, line, columns, text, cells, .. } = self;
        Ok(Some(BillRow { file, line: *line, columns, text, cells }))
    }

    /// The next line of 业务明细.
    pub fn next_trade(&mut self) -> Result<Option<TradeLine>, BillError> {
        self.expect(BillKind::TradeDetail)?;
        self.next_row()?.as_ref().map(TradeLine::read).transpose()
    }

    /// The next line of 账务明细.
    pub fn next_fund(&mut self) -> Result<Option<FundLine>, BillError> {
        self.expect(BillKind::FundDetail)?;
        self.next_row()?.as_ref().map(FundLine::read).transpose()
    }

    /// How many lines the file itself counts under a word, such as 交易合计 or 退款合计; known
    /// after the last line.
    pub fn declared(&self, word: &str) -> Option<u64> {
        self.declared.iter().find(|(name, _)| name == word).map(|(_, count)| *count)
    }

    fn expect(&self, kind: BillKind) -> Result<(), BillError> {
        if self.kind == kind { Ok(()) } else { Err(self.error(BillFault::WrongKind)) }
    }

    fn read_header(&mut self) -> Result<(), BillError> {
        while self.next_line()? && self.line <= PREAMBLE_MAX {
            if let Some(account) = self.text.strip_prefix("#账号：") {
                self.account = account.trim().trim_matches(['[', ']']).to_owned();
            }
            if !self.text.starts_with('#') && !self.text.trim().is_empty() {
                self.columns = Columns::read(&self.text);
                let lacks = |name: &&&str| self.columns.position(name).is_none();
                return match self.kind.required().iter().find(lacks) {
                    Some(name) => Err(self.error(BillFault::ColumnMissing(name))),
                    None => Ok(()),
                };
            }
        }
        Err(self.error(BillFault::NoHeader))
    }

    /// Lines such as `#交易合计：1笔，商家实收共1.00元`.
    fn read_footer(&mut self) -> Result<(), BillError> {
        while self.declared.len() < FILES_MAX && self.next_line()? {
            let words = self.text.strip_prefix('#').and_then(|rest| rest.split_once('：'));
            let Some((name, rest)) = words else { continue };
            let count = rest.split_once('笔').and_then(|(count, _)| count.trim().parse().ok());
            self.declared.extend(count.map(|count| (name.to_owned(), count)));
        }
        Ok(())
    }

    /// Reads a line into `text`, without its end; `false` at the end of the file.
    fn next_line(&mut self) -> Result<bool, BillError> {
        self.buffer.clear();
        self.line += 1;
        let most = LINE_MAX as u64 + 1;
        let read = (&mut self.input).take(most).read_until(b'\n', &mut self.buffer);
        read.map_err(|error| self.error(BillFault::Io(error.to_string())))?;
        if self.buffer.len() > LINE_MAX {
            return Err(self.error(BillFault::LineTooLong));
        }
        self.text.clear();
        self.text.push_str(decode(&self.buffer).trim_end_matches(['\r', '\n']));
        Ok(!self.buffer.is_empty())
    }

    /// Finds the cells of `text`. Nothing is quoted: commas that the merchant wrote into subject
    /// or remark make more cells than columns, and are put back there.
    fn split(&mut self) -> Result<(), BillError> {
        split_at_commas(&self.text, &mut self.cells);
        let columns = self.columns.names.len();
        if self.cells.len() > columns {
            self.columns.rejoin(&self.text, &mut self.cells);
        }
        let cells = self.cells.len();
        if cells != columns {
            return Err(self.error(BillFault::Cells { cells, columns }));
        }
        Ok(())
    }

    fn error(&self, fault: BillFault) -> BillError {
        BillError { file: self.file.clone(), line: self.line, fault }
    }
}

/// A subject that was cut in the middle of a letter must not cost a whole bill; what is read as a
/// number has no such letters or is refused.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    GB18030.decode_without_bom_handling(bytes).0
}

fn split_at_commas(text: &str, cells: &mut Vec<Range<usize>>) {
    cells.clear();
    let mut start = 0;
    for (at, _) in text.match_indices(',') {
        cells.push(start..at);
        start = at + 1;
    }
    cells.push(start..text.len());
}

impl Columns {
    fn read(header: &str) -> Columns {
        let mut names: Vec<String> = header.split(',').map(|name| name.trim().to_owned()).collect();
        while names.last().is_some_and(String::is_empty) {
            names.pop();
        }
        let plain = names.iter().map(|name| name.replace('（', "(").replace('）', ")"));
        Columns { plain: plain.collect(), names }
    }

    fn position(&self, name: &str) -> Option<usize> {
        let same = |known: &String| known == name;
        self.plain.iter().position(same).or_else(|| self.names.iter().position(same))
    }

    /// The subject ends where the next cell is a time; the remark is the last column, and what is
    /// blank after it is a comma at the end of the line.
    fn rejoin(&self, text: &str, cells: &mut Vec<Range<usize>>) {
        let surplus = cells.len() - self.names.len();
        let subject = self.position("商品名称");
        let is_before_time =
            |at: &usize| self.names.get(at + 1).is_some_and(|name| name.ends_with("时间"));
        if let Some(subject) = subject.filter(is_before_time) {
            let is_time = |at: &usize| beijing::parse(text[cells[*at].clone()].trim()).is_some();
            let found = (subject + 1..=subject + 1 + surplus).find(is_time);
            join(cells, subject, found.unwrap_or(subject + 1) - 1);
        }
        let is_blank = |cell: &Range<usize>| text[cell.clone()].trim().is_empty();
        while cells.len() > self.names.len() && cells.last().is_some_and(is_blank) {
            cells.pop();
        }
        let last = self.names.len() - 1;
        if cells.len() > self.names.len() && self.names[last] == "备注" {
            join(cells, last, cells.len() - 1);
        }
    }
}

/// Makes one cell of the cells from `first` to `last`.
fn join(cells: &mut Vec<Range<usize>>, first: usize, last: usize) {
    cells[first].end = cells[last].end;
    cells.drain(first + 1..=last);
}

impl BillRow<'_> {
    /// Which line of the file.
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// The cell of a column by its name, with parentheses of either width; `None` if there is no
    /// such column.
    pub fn cell(&self, name: &str) -> Option<&str> {
        self.columns.position(name).map(|at| self.at(at))
    }

    /// All cells with their columns' names, unknown ones included.
    pub fn cells(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = self.columns.names.iter().map(String::as_str);
        names.enumerate().map(|(at, name)| (name, self.at(at)))
    }

    pub(super) fn error(&self, fault: BillFault) -> BillError {
        BillError { file: self.file.to_owned(), line: self.line, fault }
    }

    fn at(&self, column: usize) -> &str {
        self.text[self.cells[column].clone()].trim()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
