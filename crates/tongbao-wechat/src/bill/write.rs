//! Writes the text of bills: the mark in front, backticks before cells, the summary at the end.

/// A bill being written.
pub(super) struct Writer(String);

impl Writer {
    /// With the names of the columns.
    pub(super) fn new(columns: &[&str]) -> Writer {
        let mut writer = Writer("\u{feff}".to_owned());
        writer.plain(columns);
        writer
    }

    /// A row, or the values of the summary. A line break inside a cell would tear the row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        for (place, cell) in cells.into_iter().enumerate() {
            self.0.push_str(if place == 0 { "`" } else { ",`" });
            let whole = cell.as_ref().chars().map(|c| if c == '\r' || c == '\n' { ' ' } else { c });
            self.0.extend(whole);
        }
        self.0.push_str("\r\n");
    }

    /// The names of the summary and its values.
    pub(super) fn end(mut self, names: &[&str], values: impl Fn(&str) -> String) -> String {
        self.plain(names);
        self.row(names.iter().map(|name| values(name)));
        self.0
    }

    fn plain(&mut self, names: &[&str]) {
        self.0.push_str(&names.join(","));
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_published_sample() {
        let mut writer = Writer::new(&["交易时间", "商品名称"]);
        writer.row(["2019-02-19 01:51:59", "a,b\r\nc"]);
        writer.row(["", ""]);
        let text = writer.end(&["总交易单数"], |_| "2.0".to_owned());
        let wanted = "\u{feff}交易时间,商品名称\r\n`2019-02-19 01:51:59,`a,b  c\r\n`,`\r\n\
                      总交易单数\r\n`2.0\r\n";
        assert_eq!(text, wanted);
        assert_eq!(text.as_bytes()[..3], [0xef, 0xbb, 0xbf]);
    }
}
