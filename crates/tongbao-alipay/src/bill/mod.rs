//! The files of a bill (对账单), as the address of [`crate::open::bill_download_url`] serves them: a
//! zip with a detail file and a summary file, both comma separated, in GBK, names included. Alipay,
//! 对账单字段说明.
//!
//! [`read`] streams lines of a detail file, whose columns are found by name since Alipay has moved
//! them over the years; [`mod@write`] makes both files for the sandbox. A million lines take no
//! more memory than one.

pub mod line;
pub mod read;
pub mod write;

pub use line::{FundLine, TradeLine, TradeLineKind};
pub use read::{BillArchive, BillReader, BillRow};
pub use write::{BillHead, write_fund_bill, write_trade_bill};

/// Which file of a bill, told by its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillKind {
    /// 业务明细: one line per payment and refund.
    TradeDetail,
    /// 业务明细(汇总): sums per store.
    TradeSummary,
    /// 账务明细: one line per movement of the balance.
    FundDetail,
    /// 账务明细(汇总): sums.
    FundSummary,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bill file {file}, line {line}: {fault}")]
pub struct BillError {
    /// The name inside of the zip; empty if it is about the zip.
    pub file: String,
    /// Counted from 1; 0 if it is about no line.
    pub line: u64,
    /// What is wrong.
    pub fault: BillFault,
}

/// What can be wrong with a bill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BillFault {
    /// Not a zip, or a broken one.
    #[error("not a readable zip: {0}")]
    Zip(String),
    /// More files than a bill has.
    #[error("the zip holds {0} files; a bill has two")]
    TooManyFiles(usize),
    /// The zip has no such file.
    #[error("the zip holds no file that begins with {0}")]
    Absent(&'static str),
    /// The bytes stopped coming.
    #[error("it cannot be read: {0}")]
    Io(String),
    /// The first line is that of no bill.
    #[error("this is no bill of Alipay's: its first line is unknown")]
    NotABill,
    /// The lines before the header do not end.
    #[error("no header was found")]
    NoHeader,
    /// A column that every bill has is not there.
    #[error("the column {0} is missing")]
    ColumnMissing(&'static str),
    /// A line is longer than any of a bill.
    #[error("the line is longer than 64 KiB")]
    LineTooLong,
    /// A line has too few or too many cells.
    #[error("the line has {cells} cells where the header has {columns}")]
    Cells {
        /// How many it has.
        cells: usize,
        /// How many it should have.
        columns: usize,
    },
    /// A cell does not have its form.
    #[error("the cell of {0} is malformed")]
    Malformed(&'static str),
    /// The rule that ends the list did not come: a part is missing.
    #[error("the file ends before its list does")]
    Truncated,
    /// Lines of this kind were not expected.
    #[error("the file is of another kind")]
    WrongKind,
}

impl BillKind {
    const ALL: [BillKind; 4] = [
        BillKind::TradeDetail,
        BillKind::TradeSummary,
        BillKind::FundDetail,
        BillKind::FundSummary,
    ];

    /// The first line.
    pub const fn title(self) -> &'static str {
        match self {
            BillKind::TradeDetail => "#支付宝业务明细查询",
            BillKind::TradeSummary => "#支付宝业务汇总查询",
            BillKind::FundDetail => "#支付宝账务明细查询",
            BillKind::FundSummary => "#支付宝账务汇总查询",
        }
    }

    fn from_title(line: &str) -> Option<BillKind> {
        BillKind::ALL.into_iter().find(|kind| kind.title() == line)
    }

    /// The end of the file's name.
    const fn suffix(self) -> &'static str {
        match self {
            BillKind::TradeDetail => "业务明细",
            BillKind::TradeSummary => "业务明细(汇总)",
            BillKind::FundDetail => "账务明细",
            BillKind::FundSummary => "账务明细(汇总)",
        }
    }

    /// The words in the rules around the list.
    const fn list(self) -> &'static str {
        match self {
            BillKind::TradeDetail => "业务明细列表",
            BillKind::TradeSummary => "业务汇总列表",
            BillKind::FundDetail => "账务明细列表",
            BillKind::FundSummary => "账务汇总列表",
        }
    }

    /// Columns without which a line says nothing.
    const fn required(self) -> &'static [&'static str] {
        match self {
            BillKind::TradeDetail => line::TRADE_REQUIRED,
            BillKind::FundDetail => line::FUND_REQUIRED,
            BillKind::TradeSummary | BillKind::FundSummary => &[],
        }
    }
}
