//! The lines of a bill, the same for both providers: read one by one with the memory of one.
//!
//! What a column is called, how money and time are written and which sign it bears differ; here
//! they meet. Every column is kept beside as text, also those that are not known.

use crate::bill::{BillKind, BillPacking};
use flate2::read::MultiGzDecoder;
use std::io::{self, BufReader, Read, Seek};
use tongbao_alipay::bill as alipay;
use tongbao_crypt::digest::Sha1;
use tongbao_types::{Fen, Provider, Timestamp};
use tongbao_wechat as wechat;

/// No bill of a day is larger, unpacked.
const TEXT_BYTES_MAX: u64 = 16 << 30;
const BUFFER_BYTES: usize = 64 * 1024;
/// Bills pack to a twentieth. What unpacks to more than so many times its size, beyond the first
/// quarter of a MiB, was made to fill memory or time.
const PACKED_TIMES_MAX: u64 = 200;
const PACKED_FREE_BYTES: u64 = 256 * 1024;

/// What is needed to read a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillForm {
    /// Whose.
    pub provider: Provider,
    /// Of what.
    pub kind: BillKind,
    /// How it came.
    pub packing: BillPacking,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillLineKind {
    /// A payer paid.
    Payment,
    /// A payer got money back.
    Refund,
    /// An order that was scanned from the payer was taken back, with what was paid.
    Reversal,
    /// The provider took or gave back its fee.
    Fee,
    /// The merchant moved money to a bank.
    Withdrawal,
    /// Something else; the columns say what.
    Other,
}

impl BillLineKind {
    /// Every kind.
    pub const ALL: &'static [BillLineKind] = &[
        BillLineKind::Payment,
        BillLineKind::Refund,
        BillLineKind::Reversal,
        BillLineKind::Fee,
        BillLineKind::Withdrawal,
        BillLineKind::Other,
    ];

    /// Its name in `/v1`.
    pub const fn as_str(self) -> &'static str {
        match self {
            BillLineKind::Payment => "payment",
            BillLineKind::Refund => "refund",
            BillLineKind::Reversal => "reversal",
            BillLineKind::Fee => "fee",
            BillLineKind::Withdrawal => "withdrawal",
            BillLineKind::Other => "other",
        }
    }
}

/// A line. Signs are the merchant's: what came in is positive, what went out negative.
#[derive(Debug, Clone, Copy)]
pub struct BillLine<'a> {
    /// Where it stands in its file, from 1.
    pub line: u64,
    /// What it is about.
    pub kind: BillLineKind,
    /// When; the line of a trade that never ended has no time.
    pub time: Option<Timestamp>,
    /// Our number of the order.
    pub out_trade_no: Option<&'a str>,
    /// The provider's number of the order.
    pub provider_trade_no: Option<&'a str>,
    /// Our number of the refund.
    pub out_refund_no: Option<&'a str>,
    /// The provider's number of the refund; Alipay has none.
    pub provider_refund_no: Option<&'a str>,
    /// The provider's number of the movement, in fund-flow bills.
    pub entry_no: Option<&'a str>,
    /// What was paid, came in (positive), was refunded or went out (negative).
    pub amount: Fen,
    /// `CNY`.
    pub currency: &'a str,
    /// The provider's fee in hundred-thousandths of a yuan: positive if it took it, negative if it
    /// gave it back. Fund-flow bills have lines of their own for fees.
    pub fee: Option<i64>,
    /// The provider's word for the way of paying (NATIVE, JSAPI, …), or for the business.
    pub trade_type: Option<&'a str>,
    /// The provider's word for how it stands, as of the bill's making.
    pub status: Option<&'a str>,
    /// Who paid: an openid, or what Alipay shows of the buyer.
    pub payer: Option<&'a str>,
    columns: Columns<'a>,
}

#[derive(Clone, Copy)]
enum Columns<'a> {
    Wechat(wechat::BillRow<'a>),
    Alipay(&'a alipay::BillRow<'a>),
}

impl std::fmt::Debug for Columns<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Columns")
    }
}

impl<'a> BillLine<'a> {
    /// Every column by its name in the bill, in the bill's order.
    pub fn columns(&self) -> Box<dyn Iterator<Item = (&'a str, &'a str)> + 'a> {
        match self.columns {
            Columns::Wechat(row) => {
                let cells: Vec<(&'a str, &'a str)> = row.iter().collect();
                Box::new(cells.into_iter())
            }
            Columns::Alipay(row) => Box::new(row.cells()),
        }
    }
}

/// What is wrong with a bill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BillFault {
    /// Where, from 1, if it is about a line.
    pub line: Option<u64>,
    /// What, with the place, for a person.
    pub message: String,
    /// Whether the file itself may be broken or is not all of the bill; otherwise it is whole, and
    /// has a line that cannot be understood.
    pub is_broken: bool,
}

/// What was found of a bill that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// Every line can be read; there are so many.
    Readable(u64),
    /// The provider's bill, but a line cannot be understood here.
    Odd(BillFault),
}

/// Tells for each line whether to go on.
pub type EachLine<'a> = dyn FnMut(&BillLine<'_>) -> bool + 'a;

/// Reads all of a bill, to see whether it is whole and can be understood. `sha1` is what its text
/// hashes to, in hex, where the provider told.
pub fn check_bill<R: Read + Seek>(
    form: BillForm,
    sha1: Option<&str>,
    input: R,
) -> Result<Checked, BillFault> {
    if form.packing == BillPacking::Zip {
        return match read_zip(form.kind, input, &mut |_| true) {
            Ok(lines) => Ok(Checked::Readable(lines)),
            Err(fault) if !fault.is_broken => Ok(Checked::Odd(fault)),
            Err(fault) => Err(fault),
        };
    }
    let mut text = Hashing::new(unpacked(form.packing, input));
    let read = read_text(form.kind, &mut text, &mut |_| true);
    let Some(wanted) = sha1 else { return read.map(Checked::Readable) };
    let rest = io::copy(&mut text, &mut io::sink());
    rest.map_err(|error| broken(format!("the bill cannot be unpacked: {error}")))?;
    let found = text.finish();
    if !found.eq_ignore_ascii_case(wanted) {
        let message = format!(
            "the bill is not the one that the provider told of: its SHA-1 is {found} and should be \
             {wanted}; it may have been cut off"
        );
        return Err(broken(message));
    }
    // The hash vouches for it.
    let odd = |fault| Checked::Odd(BillFault { is_broken: false, ..fault });
    Ok(read.map_or_else(odd, Checked::Readable))
}

/// Reads a bill, line by line. Tells how many lines there were.
pub fn read_bill<R: Read + Seek>(
    form: BillForm,
    input: R,
    each: &mut EachLine<'_>,
) -> Result<u64, BillFault> {
    match form.packing {
        BillPacking::Zip => read_zip(form.kind, input, each),
        packing => read_text(form.kind, unpacked(packing, input), each),
    }
}

fn broken(message: String) -> BillFault {
    BillFault { line: None, message, is_broken: true }
}

fn unpacked<'a, R: Read + 'a>(packing: BillPacking, input: R) -> Box<dyn Read + 'a> {
    match packing {
        BillPacking::Gzip => {
            let packed = Counting { inner: input, bytes: 0 };
            let text = MultiGzDecoder::new(BufReader::with_capacity(8 * 1024, packed));
            Box::new(Unpacking { text, bytes: 0 }.take(TEXT_BYTES_MAX))
        }
        _ => Box::new(input.take(TEXT_BYTES_MAX)),
    }
}

/// Counts what passes through.
struct Counting<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }
}

/// Unpacks, as long as what comes out is in proportion to what went in.
struct Unpacking<R> {
    text: MultiGzDecoder<BufReader<Counting<R>>>,
    bytes: u64,
}

impl<R: Read> Read for Unpacking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.text.read(buffer)?;
        self.bytes += n as u64;
        let packed = self.text.get_ref().get_ref().bytes;
        if self.bytes > PACKED_FREE_BYTES + packed * PACKED_TIMES_MAX {
            let why = format!("it unpacks to more than {PACKED_TIMES_MAX} times its size");
            return Err(io::Error::other(why));
        }
        Ok(n)
    }
}

/// Hashes what passes through.
struct Hashing<R> {
    inner: R,
    sha1: Sha1,
}

impl<R: Read> Hashing<R> {
    fn new(inner: R) -> Hashing<R> {
        Hashing { inner, sha1: Sha1::default() }
    }

    fn finish(self) -> String {
        self.sha1.hex()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.sha1.update(&buffer[..n]);
        Ok(n)
    }
}

fn read_text(kind: BillKind, input: impl Read, each: &mut EachLine<'_>) -> Result<u64, BillFault> {
    let input = BufReader::with_capacity(BUFFER_BYTES, input);
    let mut reader = wechat::BillReader::new(input)?;
    let mut lines = 0;
    match kind {
        BillKind::Trade => {
            let columns = wechat::TradeColumns::find(reader.lines())?;
            while let Some(row) = reader.next_row()? {
                lines += 1;
                if !each(&wechat_trade(&columns.read(&row)?, row)) {
                    return Ok(lines);
                }
            }
        }
        BillKind::FundFlow => {
            let columns = wechat::FundColumns::find(reader.lines())?;
            while let Some(row) = reader.next_row()? {
                lines += 1;
                if !each(&wechat_fund(&columns.read(&row)?, row)) {
                    return Ok(lines);
                }
            }
        }
    }
    Ok(lines)
}

impl From<wechat::BillError> for BillFault {
    /// Without a hash nothing but its form tells whether a text is whole.
    fn from(error: wechat::BillError) -> BillFault {
        BillFault { line: Some(error.line), message: error.to_string(), is_broken: true }
    }
}

fn wechat_trade<'a>(line: &wechat::TradeLine<'a>, row: wechat::BillRow<'a>) -> BillLine<'a> {
    let kind = match line.kind {
        wechat::TradeKind::Payment => BillLineKind::Payment,
        wechat::TradeKind::Refund => BillLineKind::Refund,
        wechat::TradeKind::Revoked => BillLineKind::Reversal,
        wechat::TradeKind::Other(_) => BillLineKind::Other,
    };
    let went_out = matches!(kind, BillLineKind::Refund | BillLineKind::Reversal);
    let refund = line.refund.filter(|_| went_out);
    let amount = match refund {
        Some(refund) => Fen(-refund.requested.0),
        None if went_out => Fen(-line.total.0),
        None => line.total,
    };
    let state = row.get("交易状态").unwrap_or_default();
    BillLine {
        line: row.line(),
        kind,
        time: Some(line.time),
        out_trade_no: filled(line.out_trade_no),
        provider_trade_no: filled(line.transaction_id),
        out_refund_no: refund.and_then(|refund| filled(refund.out_refund_no)),
        provider_refund_no: refund.and_then(|refund| filled(refund.refund_id)),
        entry_no: None,
        amount,
        currency: filled(line.currency).unwrap_or("CNY"),
        fee: Some(line.fee.0),
        trade_type: filled(line.trade_type),
        status: refund.and_then(|refund| filled(refund.status)).or(filled(state)),
        payer: filled(line.openid),
        columns: Columns::Wechat(row),
    }
}

fn wechat_fund<'a>(line: &wechat::FundLine<'a>, row: wechat::BillRow<'a>) -> BillLine<'a> {
    let kind = fund_kind(line.kind);
    let is_refund = kind == BillLineKind::Refund;
    let is_trade = matches!(kind, BillLineKind::Payment | BillLineKind::Fee);
    let of = |wanted: bool, text: &'a str| filled(text).filter(|_| wanted);
    let amount = match line.direction {
        wechat::FundDirection::Expense => Fen(-line.amount.0),
        _ => line.amount,
    };
    BillLine {
        line: row.line(),
        kind,
        time: Some(line.time),
        out_trade_no: of(is_trade, line.voucher),
        provider_trade_no: of(is_trade, line.business_id),
        out_refund_no: of(is_refund, line.voucher),
        provider_refund_no: of(is_refund, line.business_id),
        entry_no: filled(line.flow_id),
        amount,
        currency: "CNY",
        fee: None,
        trade_type: filled(line.kind),
        status: None,
        payer: None,
        columns: Columns::Wechat(row),
    }
}

/// Both providers name movements by words; only these are the same thing everywhere.
fn fund_kind(word: &str) -> BillLineKind {
    let has = |part: &str| word.contains(part);
    if has("手续费") || has("服务费") || has("收费") {
        BillLineKind::Fee
    } else if has("退款") {
        BillLineKind::Refund
    } else if has("提现") {
        BillLineKind::Withdrawal
    } else if matches!(word, "交易" | "在线支付" | "交易付款") {
        BillLineKind::Payment
    } else {
        BillLineKind::Other
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn read_zip<R: Read + Seek>(
    kind: BillKind,
    input: R,
    each: &mut EachLine<'_>,
) -> Result<u64, BillFault> {
    let mut archive = alipay::BillArchive::open(input)?;
    let mut reader = archive.file(match kind {
        BillKind::Trade => alipay::BillKind::TradeDetail,
        BillKind::FundFlow => alipay::BillKind::FundDetail,
    })?;
    let mut lines = 0;
    while let Some(row) = reader.next_row()? {
        lines += 1;
        let goes_on = match kind {
            BillKind::Trade => each(&alipay_trade(&alipay::TradeLine::read(&row)?, &row)),
            BillKind::FundFlow => each(&alipay_fund(&alipay::FundLine::read(&row)?, &row)),
        };
        if !goes_on {
            return Ok(lines);
        }
    }
    Ok(lines)
}

impl From<alipay::BillError> for BillFault {
    /// A zip has its table at the end and a checksum for each file, so it is whole if it opens and
    /// unpacks.
    fn from(error: alipay::BillError) -> BillFault {
        use alipay::BillFault as Fault;
        let is_broken = matches!(
            error.fault,
            Fault::Zip(_)
                | Fault::TooManyFiles(_)
                | Fault::Absent(_)
                | Fault::Io(_)
                | Fault::NotABill
                | Fault::Truncated
        );
        let line = Some(error.line).filter(|line| *line > 0);
        BillFault { line, message: error.to_string(), is_broken }
    }
}

fn alipay_trade<'a>(line: &'a alipay::TradeLine, row: &'a alipay::BillRow<'a>) -> BillLine<'a> {
    let kind = match line.kind {
        alipay::TradeLineKind::Payment => BillLineKind::Payment,
        alipay::TradeLineKind::Refund => BillLineKind::Refund,
        alipay::TradeLineKind::Other(_) => BillLineKind::Other,
    };
    BillLine {
        line: row.line(),
        kind,
        time: line.finished_at.or(line.created_at),
        out_trade_no: filled(&line.out_trade_no),
        provider_trade_no: filled(&line.trade_no),
        out_refund_no: filled(&line.out_request_no),
        provider_refund_no: None,
        entry_no: None,
        amount: line.order_amount,
        currency: "CNY",
        // A fen is a thousand of them. Alipay writes what it took as negative.
        fee: line.service_fee.0.checked_mul(-1000),
        trade_type: None,
        status: filled(line.kind.as_str()),
        payer: filled(&line.buyer),
        columns: Columns::Alipay(row),
    }
}

fn alipay_fund<'a>(line: &'a alipay::FundLine, row: &'a alipay::BillRow<'a>) -> BillLine<'a> {
    BillLine {
        line: row.line(),
        kind: fund_kind(&line.business),
        time: Some(line.at),
        out_trade_no: filled(&line.out_trade_no),
        provider_trade_no: filled(&line.business_no),
        out_refund_no: None,
        provider_refund_no: None,
        entry_no: filled(&line.entry_no),
        amount: Fen(line.income.0.saturating_sub(line.outgo.0)),
        currency: "CNY",
        fee: None,
        trade_type: filled(&line.business),
        status: None,
        payer: filled(&line.counterparty),
        columns: Columns::Alipay(row),
    }
}
