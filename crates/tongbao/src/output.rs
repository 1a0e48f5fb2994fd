//! What people read on stdout: lines, colours if it is a terminal, tables.
//!
//! A reader that hangs up (`tongbao keys list | head -1`) ends the output, not the program with an
//! error.

use std::io::{IsTerminal, Write};

/// Where lines go, and whether colours may be used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    colours: bool,
}

/// How a piece of text looks on a terminal that has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Bold,
    Dim,
    Green,
    Yellow,
    Cyan,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Cyan => "36",
        }
    }
}

impl Screen {
    /// Stdout; colours only on a terminal, and not if `NO_COLOR` is set.
    pub(crate) fn stdout() -> Screen {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Screen { colours: !unwanted && std::io::stdout().is_terminal() }
    }

    /// Whether escape sequences may be used.
    pub(crate) fn has_colours(self) -> bool {
        self.colours
    }

    /// Prints a line.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        let mut out = std::io::stdout().lock();
        // A reader that is gone needs no more lines.
        let _gone = writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush());
    }

    /// Styles a piece of text.
    pub(crate) fn paint(self, style: Style, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        match self.colours {
            true => format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()),
            false => text.to_owned(),
        }
    }
}

/// Lays rows out in columns, two blanks apart; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |idx: usize| rows.iter().filter_map(move |row| row.get(idx));
    let widths: Vec<usize> =
        (0..n_columns).map(|idx| cells(idx).map(|cell| width(cell)).max().unwrap_or(0)).collect();
    let lay = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, wanted)| {
            format!("{cell}{}", " ".repeat(wanted.saturating_sub(width(cell))))
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(lay).collect()
}

/// East Asian Wide and Fullwidth, as far as names and amounts need them.
const WIDE: [std::ops::RangeInclusive<char>; 6] = [
    '\u{1100}'..='\u{115f}',
    '\u{2e80}'..='\u{a4cf}',
    '\u{ac00}'..='\u{d7a3}',
    '\u{f900}'..='\u{faff}',
    '\u{fe30}'..='\u{ff60}',
    '\u{ffe0}'..='\u{ffe6}',
];

/// Columns that a text takes on a terminal: Chinese characters and full-width signs take two.
fn width(text: &str) -> usize {
    let is_wide = |c: char| WIDE.iter().any(|range| range.contains(&c));
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another_also_in_chinese() {
        let rows = [["名称", "b"], ["abcdef", "c"]];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|s| (*s).to_owned()).collect()).collect();
        assert_eq!(table(&rows), ["名称    b", "abcdef  c"]);
    }

    #[test]
    fn without_colours_text_stays_as_it_is() {
        assert_eq!(Screen { colours: false }.paint(Style::Green, "no"), "no");
        assert_eq!(Screen { colours: true }.paint(Style::Green, "no"), "\u{1b}[32mno\u{1b}[0m");
    }
}
