//! A QR code in a terminal: two rows of modules in one line of half-block characters.
//!
//! Dark modules are drawn in black on white when colours are on, so that a phone reads the code on
//! any background; without colours a light terminal background is presumed, as in a printed log.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, as the standard asks of printers; 2 are enough for phones.
const QUIET: usize = 2;

/// Whether escape sequences may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Black on white by escape sequences.
    Coloured,
    /// Characters alone.
    Plain,
}

/// Draws a text as lines without line ends. A text that is too long for a QR code gives an error.
pub(crate) fn draw(text: &str, ink: Ink) -> Result<Vec<String>, qrcode::types::QrError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L)?;
    let width = code.width();
    let modules = code.to_colors();
    let side = width + 2 * QUIET;
    let is_dark = |x: usize, y: usize| {
        let inside = (QUIET..QUIET + width).contains(&x) && (QUIET..QUIET + width).contains(&y);
        inside && modules[(y - QUIET) * width + (x - QUIET)] == Color::Dark
    };
    let line = |top: usize| {
        let cells = (0..side).map(|x| half_block(is_dark(x, top), is_dark(x, top + 1)));
        let cells: String = cells.collect();
        match ink {
            Ink::Coloured => format!("\u{1b}[30;47m{cells}\u{1b}[0m"),
            Ink::Plain => cells,
        }
    };
    Ok((0..side).step_by(2).map(line).collect())
}

fn half_block(top_dark: bool, bottom_dark: bool) -> char {
    match (top_dark, bottom_dark) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The drawing is turned back into modules, which must be the code's own.
    #[test]
    fn the_drawing_has_each_module_of_the_code() {
        let text = "weixin://wxpay/bizpayurl?pr=aBc123XY";
        let lines = draw(text, Ink::Plain).unwrap();
        let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
        let width = code.width();
        let modules = code.to_colors();
        for y in 0..width {
            for x in 0..width {
                let (row, column) = (y + QUIET, x + QUIET);
                let cell = lines[row / 2].chars().nth(column).unwrap();
                let dark = if row % 2 == 0 { "█▀" } else { "█▄" }.contains(cell);
                assert_eq!(dark, modules[y * width + x] == Color::Dark, "{x} {y}");
            }
        }
        assert!(lines.iter().all(|line| line.chars().count() == width + 2 * QUIET));
    }

    #[test]
    fn colours_are_put_back_at_each_line_end() {
        let lines = draw("x", Ink::Coloured).unwrap();
        assert!(lines.iter().all(|line| line.ends_with("\u{1b}[0m")));
    }
}
