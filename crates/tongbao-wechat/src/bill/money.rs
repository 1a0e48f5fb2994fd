//! Money in bills: yuan with two decimals, fees with five, sums as short as they go. All of it is
//! read and written with integers.

use tongbao_types::Fen;

/// A fee in hundred-thousandths of a yuan (`0.00001`), as bills count it; what was given back with
/// a refund is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BillFee(pub i64);

const FEE_DECIMALS: usize = 5;

impl BillFee {
    /// Reads `0.01000`.
    pub(super) fn read(text: &str) -> Option<BillFee> {
        read_decimal(text, FEE_DECIMALS).map(BillFee)
    }

    /// Writes `0.01000`.
    pub(super) fn to_text(self) -> String {
        write_decimal(self.0, FEE_DECIMALS)
    }

    /// Writes it as in a summary, `0.01`.
    pub(super) fn to_short(self) -> String {
        short(&self.to_text())
    }
}

/// Reads yuan, which may be negative.
pub(super) fn read_yuan(text: &str) -> Option<Fen> {
    read_decimal(text, 2).map(Fen)
}

/// Writes yuan as in a summary: `0.47`, `0.5`, `0.0`.
pub(super) fn short_yuan(fen: Fen) -> String {
    short(&fen.to_yuan())
}

/// Writes a count as in a summary: `45.0`.
pub(super) fn count(n: usize) -> String {
    format!("{n}.0")
}

fn read_decimal(text: &str, decimals: usize) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(part) || part.len() > decimals {
        return None;
    }
    let mut number: i64 = 0;
    let padding = std::iter::repeat_n(b'0', decimals - part.len());
    for digit in whole.bytes().chain(part.bytes()).chain(padding) {
        number = number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(if negative { -number } else { number })
}

fn write_decimal(number: i64, decimals: usize) -> String {
    let digits = format!("{:0width$}", number.unsigned_abs(), width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    format!("{}{whole}.{part}", if number < 0 { "-" } else { "" })
}

/// Without zeros at the end, but with one decimal at least.
fn short(decimal: &str) -> String {
    let cut = decimal.trim_end_matches('0');
    if cut.ends_with('.') { format!("{cut}0") } else { cut.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_is_read_exactly_or_not_at_all() {
        for (text, fen) in [("0.47", 47), ("0.5", 50), ("12", 1200), ("-0.01", -1), ("0.0", 0)] {
            assert_eq!(read_yuan(text), Some(Fen(fen)), "{text}");
        }
        for text in ["", "-", ".5", "5.", "0.001", "1e2", "+1", " 1", "1,000.00", "--1", "１"] {
            assert_eq!(read_yuan(text), None, "{text}");
        }
        assert_eq!(read_yuan("99999999999999999999.00"), None);
        assert_eq!(BillFee::read("0.01000"), Some(BillFee(1000)));
        assert_eq!(BillFee::read("-0.00001"), Some(BillFee(-1)));
        assert_eq!(BillFee::read("0.000001"), None);
    }

    #[test]
    fn sums_are_written_as_in_the_sample() {
        let sums = [47, 14, 0, 8, 50, 1000, -5].map(|fen| short_yuan(Fen(fen)));
        assert_eq!(sums, ["0.47", "0.14", "0.0", "0.08", "0.5", "10.0", "-0.05"]);
        assert_eq!(count(45), "45.0");
        let fees = [8000, 1, 0, 100_000].map(|fee| BillFee(fee).to_short());
        assert_eq!(fees, ["0.08", "0.00001", "0.0", "1.0"]);
        assert_eq!(BillFee(i64::MIN).to_text(), "-92233720368547.75808");
    }

    proptest! {
        #[test]
        fn reading_after_writing_is_identity(n in -i64::MAX..i64::MAX) {
            prop_assert_eq!(BillFee::read(&BillFee(n).to_text()), Some(BillFee(n)));
            prop_assert_eq!(BillFee::read(&BillFee(n).to_short()), Some(BillFee(n)));
            prop_assert_eq!(read_yuan(&Fen(n).to_yuan()), Some(Fen(n)));
        }
    }
}
