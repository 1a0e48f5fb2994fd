//! Bills (对账单): what can be asked for, and the text that comes, the same in both APIs.
//!
//! `file.rs` has a bill as it travels, `columns.rs` the names of the columns; `read.rs` takes a
//! bill apart line by line, `trade.rs` and `fund.rs` give its rows their types, `trade_write.rs`
//! and `fund.rs` write them.

mod columns;
mod file;
mod fund;
mod money;
mod read;
mod trade;
mod trade_write;
mod write;

pub use file::BillFile;
pub use fund::{FundColumns, FundDirection, FundLine, write_fund_bill};
pub use money::BillFee;
pub use read::{
    BILL_LINE_BYTES_MAX, BillError, BillLines, BillProblem, BillReader, BillRow, BillSummary,
};
pub use trade::{RefundLine, TradeColumns, TradeKind, TradeLine};
pub use trade_write::write_trade_bill;

use crate::china::{compact_time, read_compact_time};
use std::fmt;
use tongbao_types::Timestamp;

/// The day of a bill, in China.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillDate {
    // First, so that the derived order is that of time.
    year: u16,
    month: u8,
    day: u8,
}

impl BillDate {
    /// The day in China that a moment belongs to.
    pub fn of(moment: Timestamp) -> BillDate {
        let text = compact_time(moment);
        let number = |from: usize, to: usize| text.get(from..to).and_then(|t| t.parse().ok());
        let year = text.get(..4).and_then(|t| t.parse().ok()).unwrap_or(0);
        BillDate { year, month: number(4, 6).unwrap_or(1), day: number(6, 8).unwrap_or(1) }
    }

    /// Midnight in China, when it begins.
    pub fn start(self) -> Timestamp {
        let text = format!("{}000000", self.compact());
        read_compact_time(&text).expect("a BillDate is a real day of four digits of a year")
    }

    /// `yyyyMMdd`, as API v2 writes it.
    pub fn compact(self) -> String {
        format!("{:04}{:02}{:02}", self.year, self.month, self.day)
    }

    /// Reads `yyyyMMdd`.
    pub fn read_compact(text: &str) -> Option<BillDate> {
        read_compact_time(&format!("{text}000000")).map(BillDate::of)
    }

    /// Reads `yyyy-MM-dd`, as API v3 writes it (and `Display` does).
    pub fn read_dashed(text: &str) -> Option<BillDate> {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = parts.next().is_none() && (year.len(), month.len(), day.len()) == (4, 2, 2);
        if fits { BillDate::read_compact(&format!("{year}{month}{day}")) } else { None }
    }
}

impl fmt::Display for BillDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// How a bill travels (`tar_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BillPacking {
    /// As text.
    #[default]
    Plain,
    /// `GZIP`. Unpacking, within bounds, is the caller's.
    Gzip,
}

impl BillPacking {
    /// By `tar_type` of a request.
    pub(crate) const fn asked(tar_type: Option<&str>) -> BillPacking {
        if tar_type.is_some() { BillPacking::Gzip } else { BillPacking::Plain }
    }

    /// The text of `tar_type`; plain bills are asked for by leaving it out.
    pub const fn tar_type(self) -> Option<&'static str> {
        match self {
            BillPacking::Plain => None,
            BillPacking::Gzip => Some("GZIP"),
        }
    }
}

/// Which rows of the trade bill (交易账单), `bill_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BillType {
    /// Payments and refunds.
    #[default]
    All,
    /// Payments alone.
    Success,
    /// Refunds alone.
    Refund,
}

impl BillType {
    /// Its name in `bill_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            BillType::All => "ALL",
            BillType::Success => "SUCCESS",
            BillType::Refund => "REFUND",
        }
    }

    /// Reads `bill_type`.
    pub fn read(word: &str) -> Option<BillType> {
        let all = [BillType::All, BillType::Success, BillType::Refund];
        all.into_iter().find(|t| t.as_str() == word)
    }
}

/// Whose movements the fund-flow bill (资金账单) shows, `account_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FundAccount {
    /// The basic account (基本账户).
    #[default]
    Basic,
    /// The operating account (运营账户).
    Operation,
    /// The account of fees (手续费账户).
    Fees,
}

impl FundAccount {
    /// API v2's word.
    pub const fn as_v2_str(self) -> &'static str {
        match self {
            FundAccount::Basic => "Basic",
            FundAccount::Operation => "Operation",
            FundAccount::Fees => "Fees",
        }
    }

    /// API v3's word.
    pub const fn as_v3_str(self) -> &'static str {
        match self {
            FundAccount::Basic => "BASIC",
            FundAccount::Operation => "OPERATION",
            FundAccount::Fees => "FEES",
        }
    }

    /// Reads a word of API v2.
    pub fn read_v2(word: &str) -> Option<FundAccount> {
        FundAccount::all().into_iter().find(|a| a.as_v2_str() == word)
    }

    /// Reads a word of API v3.
    pub fn read_v3(word: &str) -> Option<FundAccount> {
        FundAccount::all().into_iter().find(|a| a.as_v3_str() == word)
    }

    const fn all() -> [FundAccount; 3] {
        [FundAccount::Basic, FundAccount::Operation, FundAccount::Fees]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_chinas_and_reads_back_in_both_forms() {
        let late: Timestamp = "2026-11-20T16:00:00Z".parse().unwrap();
        let day = BillDate::of(late);
        assert_eq!((day.compact().as_str(), day.to_string().as_str()), ("20261121", "2026-11-21"));
        assert_eq!(day.start(), late);
        assert_eq!(BillDate::read_compact("20261121"), Some(day));
        assert_eq!(BillDate::read_dashed("2026-11-21"), Some(day));
        assert!(BillDate::read_compact("20261201") > Some(day));
        for wrong in ["", "2026112", "20260230", "2026-11-21", "20261121000000"] {
            assert_eq!(BillDate::read_compact(wrong), None, "{wrong}");
        }
        for wrong in ["", "20261121", "2026-11-31", "2026-11-2", "26-11-0021", "2026-11-21-"] {
            assert_eq!(BillDate::read_dashed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn words_of_both_apis_read_back() {
        for word in ["ALL", "SUCCESS", "REFUND"] {
            assert_eq!(BillType::read(word).map(BillType::as_str), Some(word));
        }
        assert_eq!(BillType::read("all"), None);
        for (v2, v3) in [("Basic", "BASIC"), ("Operation", "OPERATION"), ("Fees", "FEES")] {
            assert_eq!(FundAccount::read_v2(v2).map(FundAccount::as_v3_str), Some(v3));
            assert_eq!(FundAccount::read_v3(v3).map(FundAccount::as_v2_str), Some(v2));
            assert_eq!(FundAccount::read_v2(v3), None);
        }
    }
}
