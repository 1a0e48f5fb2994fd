//! The rows of a trade bill (交易账单): a payment is one row, each accepted refund of it another.
//!
//! All forms are read: ALL, SUCCESS, REFUND, and the old one of 24 columns. What a form does not
//! have is empty or zero.

use super::money::{BillFee, read_yuan};
use super::read::{BillError, BillLines, BillProblem, BillRow};
use crate::china::read_spaced_time;
use tongbao_types::{Fen, Timestamp};

/// What a row of a trade bill is about (交易状态).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TradeKind<'a> {
    /// `SUCCESS`: a payment.
    Payment,
    /// `REFUND`: an accepted refund.
    Refund,
    /// `REVOKED`: a reversal.
    Revoked,
    /// Another word.
    Other(&'a str),
}

impl<'a> TradeKind<'a> {
    fn read(word: &'a str) -> TradeKind<'a> {
        match word {
            "SUCCESS" => TradeKind::Payment,
            "REFUND" => TradeKind::Refund,
            "REVOKED" => TradeKind::Revoked,
            other => TradeKind::Other(other),
        }
    }

    pub(super) fn as_str(self) -> &'a str {
        match self {
            TradeKind::Payment => "SUCCESS",
            TradeKind::Refund => "REFUND",
            TradeKind::Revoked => "REVOKED",
            TradeKind::Other(word) => word,
        }
    }
}

/// One row of a trade bill. Texts are as the bill has them; where it writes `0` for a number that
/// there is not, the text here is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeLine<'a> {
    /// When it was paid, or when the refund was accepted.
    pub time: Timestamp,
    /// The app id of the order.
    pub app_id: &'a str,
    /// The merchant number.
    pub mch_id: &'a str,
    /// The sub-merchant's number, for service providers.
    pub sub_mch_id: &'a str,
    /// The terminal.
    pub device_info: &'a str,
    /// WeChat's number of the trade.
    pub transaction_id: &'a str,
    /// The merchant's number of the order.
    pub out_trade_no: &'a str,
    /// The payer.
    pub openid: &'a str,
    /// NATIVE, JSAPI, APP, MWEB, MICROPAY, …
    pub trade_type: &'a str,
    /// What the row is about.
    pub kind: TradeKind<'a>,
    /// The bank.
    pub bank_type: &'a str,
    /// `CNY`.
    pub currency: &'a str,
    /// The order's amount (订单金额); zero in rows of refunds.
    pub total: Fen,
    /// What of it is settled with the merchant (应结订单金额).
    pub settlement: Fen,
    /// Coupons (代金券金额).
    pub coupon: Fen,
    /// The refund, in rows of refunds and reversals.
    pub refund: Option<RefundLine<'a>>,
    /// What the payer read.
    pub body: &'a str,
    /// The merchant's text from the order.
    pub attach: &'a str,
    /// The fee; negative where it came back with a refund.
    pub fee: BillFee,
    /// The rate of the fee, `0.60%`.
    pub rate: &'a str,
    /// A note about the rate.
    pub rate_note: &'a str,
}

/// The refund in a row of a trade bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundLine<'a> {
    /// When it was asked for; only REFUND bills tell.
    pub created_time: Option<Timestamp>,
    /// When it arrived; only REFUND bills tell.
    pub success_time: Option<Timestamp>,
    /// WeChat's number of the refund.
    pub refund_id: &'a str,
    /// The merchant's number of the refund.
    pub out_refund_no: &'a str,
    /// What was asked for (申请退款金额).
    pub requested: Fen,
    /// What of it is settled with the merchant (退款金额).
    pub settlement: Fen,
    /// What of it are coupons (充值券退款金额).
    pub coupon: Fen,
    /// ORIGINAL, BALANCE, …
    pub channel: &'a str,
    /// SUCCESS, PROCESSING, … as of the bill's making; it is never updated.
    pub status: &'a str,
}

/// Where a bill has the columns of a [`TradeLine`]; found once for all rows.
#[derive(Debug, Clone)]
pub struct TradeColumns {
    time: usize,
    sub_mch_id: usize,
    transaction_id: usize,
    out_trade_no: usize,
    kind: usize,
    total: (usize, &'static str),
    settlement: usize,
    coupon: usize,
    refund_id: usize,
    out_refund_no: usize,
    refund_requested: usize,
    refund_settlement: usize,
    refund_coupon: usize,
    refund_times: [usize; 2],
    fee: usize,
    texts: [usize; 13],
}

/// No bill has so many columns; [`BillRow::at`] has an empty text there.
const NOWHERE: usize = usize::MAX;

const TEXTS: [&str; 13] = [
    "公众账号ID",
    "商户号",
    "设备号",
    "用户标识",
    "交易类型",
    "付款银行",
    "货币种类",
    "商品名称",
    "商户数据包",
    "费率",
    "费率备注",
    "退款类型",
    "退款状态",
];

impl TradeColumns {
    /// Finds the columns after the header was taken. A bill without time, numbers, state or amount
    /// is none.
    pub fn find(lines: &BillLines) -> Result<TradeColumns, BillError> {
        let any = |names: &[&str]| names.iter().find_map(|name| lines.column(name));
        let must = |name: &'static str| {
            lines.column(name).ok_or_else(|| lines.error(BillProblem::Column(name)))
        };
        let may = |names: &[&str]| any(names).unwrap_or(NOWHERE);
        let total = match lines.column("订单金额") {
            Some(place) => (place, "订单金额"),
            // The old form had one amount.
            None => (any(&["总金额"]).map_or_else(|| must("订单金额"), Ok)?, "总金额"),
        };
        Ok(TradeColumns {
            time: must("交易时间")?,
            sub_mch_id: may(&["特约商户号", "子商户号"]),
            transaction_id: must("微信订单号")?,
            out_trade_no: must("商户订单号")?,
            kind: must("交易状态")?,
            total,
            settlement: may(&["应结订单金额", "总金额"]),
            coupon: may(&["代金券金额", "代金券或立减优惠金额"]),
            refund_id: may(&["微信退款单号"]),
            out_refund_no: may(&["商户退款单号"]),
            refund_requested: may(&["申请退款金额", "退款金额"]),
            refund_settlement: may(&["退款金额"]),
            refund_coupon: may(&["充值券退款金额", "代金券或立减优惠退款金额"]),
            refund_times: [may(&["退款申请时间"]), may(&["退款成功时间"])],
            fee: may(&["手续费"]),
            texts: TEXTS.map(|name| may(&[name])),
        })
    }

    /// The columns of a row with their types.
    pub fn read<'a>(&self, row: &BillRow<'a>) -> Result<TradeLine<'a>, BillError> {
        let [app_id, mch_id, device_info, openid, trade_type, bank_type, currency, rest @ ..] =
            self.texts.map(|place| row.at(place));
        let [body, attach, rate, rate_note, ..] = rest;
        Ok(TradeLine {
            time: time(row, self.time, "交易时间")?,
            app_id,
            mch_id,
            sub_mch_id: number(row.at(self.sub_mch_id)),
            device_info,
            transaction_id: present(row, self.transaction_id, "微信订单号")?,
            out_trade_no: present(row, self.out_trade_no, "商户订单号")?,
            openid,
            trade_type,
            kind: TradeKind::read(present(row, self.kind, "交易状态")?),
            bank_type,
            currency,
            total: yuan(row, self.total.0, self.total.1)?,
            settlement: maybe_yuan(row, self.settlement, "应结订单金额")?,
            coupon: maybe_yuan(row, self.coupon, "代金券金额")?,
            refund: self.refund(row)?,
            body,
            attach,
            fee: fee(row, self.fee)?,
            rate,
            rate_note,
        })
    }

    fn refund<'a>(&self, row: &BillRow<'a>) -> Result<Option<RefundLine<'a>>, BillError> {
        let refund_id = number(row.at(self.refund_id));
        if refund_id.is_empty() {
            return match row.at(self.kind) {
                "REFUND" => Err(row.error("微信退款单号", "missing in a refund", refund_id)),
                _ => Ok(None),
            };
        }
        let [.., channel, status] = self.texts.map(|place| row.at(place));
        let [created, success] = self.refund_times;
        Ok(Some(RefundLine {
            created_time: maybe_time(row, created, "退款申请时间")?,
            success_time: maybe_time(row, success, "退款成功时间")?,
            refund_id,
            out_refund_no: number(row.at(self.out_refund_no)),
            requested: yuan(row, self.refund_requested, "申请退款金额")?,
            settlement: maybe_yuan(row, self.refund_settlement, "退款金额")?,
            coupon: maybe_yuan(row, self.refund_coupon, "充值券退款金额")?,
            channel,
            status,
        }))
    }
}

/// Bills write `0` where there is no number.
fn number(text: &str) -> &str {
    if text == "0" { "" } else { text }
}

fn present<'a>(row: &BillRow<'a>, at: usize, name: &'static str) -> Result<&'a str, BillError> {
    match row.at(at) {
        "" => Err(row.error(name, "empty", "")),
        text => Ok(text),
    }
}

fn yuan(row: &BillRow<'_>, at: usize, name: &'static str) -> Result<Fen, BillError> {
    let text = row.at(at);
    read_yuan(text).ok_or_else(|| row.error(name, "not an amount of yuan", text))
}

fn maybe_yuan(row: &BillRow<'_>, at: usize, name: &'static str) -> Result<Fen, BillError> {
    if row.at(at).is_empty() { Ok(Fen::ZERO) } else { yuan(row, at, name) }
}

fn fee(row: &BillRow<'_>, at: usize) -> Result<BillFee, BillError> {
    match row.at(at) {
        "" => Ok(BillFee::default()),
        text => {
            let wrong = || row.error("手续费", "not an amount of yuan with five decimals", text);
            BillFee::read(text).ok_or_else(wrong)
        }
    }
}

fn time(row: &BillRow<'_>, at: usize, name: &'static str) -> Result<Timestamp, BillError> {
    let text = row.at(at);
    read_spaced_time(text).ok_or_else(|| row.error(name, "not yyyy-MM-dd HH:mm:ss", text))
}

fn maybe_time(
    row: &BillRow<'_>,
    at: usize,
    name: &'static str,
) -> Result<Option<Timestamp>, BillError> {
    if row.at(at).is_empty() { Ok(None) } else { time(row, at, name).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bill::read::BillReader;
    use crate::bill::{BillType, columns, write_trade_bill};

    /// The row and the summary of the published sample.
    const SAMPLE: &str = "`2019-02-19 01:51:59,`wxab8acd895ab1638a,`1921000401,`0,`,\
        `4200000263201902167700136502,`autotest_20190219015157_13391,`wxab8acd865bb1637e,`NATIVE,\
        `SUCCESS,`OTHERS,`CNY,`0.03,`0.01,`0,`0,`0.00,`0.00,`,`,`autotest,`,`0.01000,`39.00%,\
        `0.03,`0.00,`";
    const SAMPLE_SUMMARY: &str = "`45.0,`0.47,`0.14,`0.0,`0.08,`0.47,`0.14";

    fn header(kind: BillType) -> String {
        format!("\u{feff}{}\r\n", columns::trade(kind).join(","))
    }

    fn tail() -> String {
        format!("{}\r\n{SAMPLE_SUMMARY}\r\n", columns::trade_summary(BillType::All).join(","))
    }

    fn each(text: &str, mut f: impl FnMut(TradeLine<'_>)) -> Result<(), BillError> {
        let mut reader = BillReader::new(text.as_bytes())?;
        let columns = TradeColumns::find(reader.lines())?;
        while let Some(row) = reader.next_row()? {
            f(columns.read(&row)?);
        }
        Ok(())
    }

    fn payment() -> TradeLine<'static> {
        TradeLine {
            time: read_spaced_time("2019-02-19 01:51:59").unwrap(),
            app_id: "wxab8acd895ab1638a",
            mch_id: "1921000401",
            sub_mch_id: "",
            device_info: "",
            transaction_id: "4200000263201902167700136502",
            out_trade_no: "autotest_20190219015157_13391",
            openid: "wxab8acd865bb1637e",
            trade_type: "NATIVE",
            kind: TradeKind::Payment,
            bank_type: "OTHERS",
            currency: "CNY",
            total: Fen(3),
            settlement: Fen(3),
            coupon: Fen(1),
            refund: None,
            body: "autotest",
            attach: "",
            fee: BillFee(1000),
            rate: "39.00%",
            rate_note: "",
        }
    }

    fn refund() -> TradeLine<'static> {
        let refund = RefundLine {
            created_time: read_spaced_time("2019-02-19 02:00:00"),
            success_time: None,
            refund_id: "50000007722018082106052170678",
            out_refund_no: "r1",
            requested: Fen(2),
            settlement: Fen(1),
            coupon: Fen(1),
            channel: "ORIGINAL",
            status: "PROCESSING",
        };
        let (total, settlement, coupon) = (Fen::ZERO, Fen::ZERO, Fen::ZERO);
        let (kind, fee, refund) = (TradeKind::Refund, BillFee(-1000), Some(refund));
        TradeLine { kind, total, settlement, coupon, fee, refund, ..payment() }
    }

    #[test]
    fn the_published_sample_is_read() {
        let text = format!("{}{SAMPLE}\r\n{}", header(BillType::All), tail());
        let mut n = 0;
        each(&text, |line| {
            assert_eq!(line, payment());
            n += 1;
        })
        .unwrap();
        assert_eq!(n, 1);
        let mut reader = BillReader::new(text.as_bytes()).unwrap();
        while reader.next_row().unwrap().is_some() {}
        let summary = reader.summary().unwrap();
        assert_eq!(summary.get("总交易单数"), Some("45.0"));
        assert_eq!(summary.get("申请退款总金额"), Some("0.14"));
    }

    #[test]
    fn the_published_sample_is_written_to_the_byte() {
        let summary = "`1.0,`0.03,`0.0,`0.0,`0.01,`0.03,`0.0\r\n";
        let names = columns::trade_summary(BillType::All).join(",");
        let wanted = format!("{}{SAMPLE}\r\n{names}\r\n{summary}", header(BillType::All));
        assert_eq!(write_trade_bill(BillType::All, [payment()]), wanted);
    }

    #[test]
    fn every_type_goes_there_and_back() {
        let check = |kind, wanted: &[TradeLine<'_>]| {
            let text = write_trade_bill(kind, [payment(), refund()]);
            let mut n = 0;
            each(&text, |line| {
                assert_eq!(line, wanted[n]);
                n += 1;
            })
            .unwrap();
            assert_eq!(n, wanted.len());
        };
        let mut timeless = refund();
        timeless.refund.as_mut().unwrap().created_time = None;
        check(BillType::All, &[payment(), timeless]);
        check(BillType::Success, &[payment()]);
        check(BillType::Refund, &[refund()]);
        let all = write_trade_bill(BillType::All, [payment(), refund()]);
        assert!(all.ends_with("`2.0,`0.03,`0.01,`0.01,`0.0,`0.03,`0.02\r\n"), "{all}");
    }

    #[test]
    fn the_old_form_is_read() {
        let names = "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,\
            付款银行,货币种类,总金额,代金券或立减优惠金额,微信退款单号,商户退款单号,退款金额,\
            代金券或立减优惠退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率";
        assert_eq!(names.split(',').count(), 24);
        let row = "`2019-02-19 01:51:59,`wx1,`1921000401,`1900000109,`,`4200,`T1,`o1,`NATIVE,\
            `REFUND,`OTHERS,`CNY,`0.03,`0.01,`5000,`r1,`0.02,`0.01,`ORIGINAL,`SUCCESS,`x,`,\
            `0.00000,`0.60%";
        let tail = "总交易单数,总交易额,总退款金额,总代金券或立减优惠退款金额,手续费总金额\n`1.0,`0,`0,`0,`0\n";
        let mut n = 0;
        each(&format!("{names}\n{row}\n{tail}"), |line| {
            assert_eq!((line.total, line.settlement, line.coupon), (Fen(3), Fen(3), Fen(1)));
            assert_eq!(line.sub_mch_id, "1900000109");
            let refund = line.refund.unwrap();
            assert_eq!((refund.requested, refund.settlement), (Fen(2), Fen(2)));
            assert_eq!((refund.coupon, refund.status), (Fen(1), "SUCCESS"));
            n += 1;
        })
        .unwrap();
        assert_eq!(n, 1);
    }

    #[test]
    fn faults_are_told_with_line_and_column() {
        let check = |from: &str, to: &str, wanted: &str| {
            let row = SAMPLE.replacen(from, to, 1);
            assert_ne!(row, SAMPLE);
            let text = format!("{}{SAMPLE}\r\n{row}\r\n{}", header(BillType::All), tail());
            let error = each(&text, |_| ()).unwrap_err();
            assert_eq!(error.line, 3);
            assert!(error.to_string().contains(wanted), "{error}");
        };
        check("2019-02-19 01:51:59", "2019/02/19", "交易时间 is \"2019/02/19\"");
        check("4200000263201902167700136502", "", "微信订单号");
        check("`0.03,`0.00,", "`3 fen,`0.00,", "订单金额 is \"3 fen\"");
        check("0.01000", "0.0100000", "手续费");
        check("`SUCCESS", "`REFUND", "微信退款单号");
        check("`SUCCESS", "`", "交易状态");
        let column = |name: &'static str, wanted: &'static str| {
            let text = header(BillType::All).replace(name, "其他");
            let error = each(&text, |_| ()).unwrap_err();
            assert_eq!(error.problem, BillProblem::Column(wanted));
        };
        column("交易时间", "交易时间");
        column("交易状态", "交易状态");
        column(",订单金额", "订单金额");
    }

    #[test]
    fn new_words_are_kept() {
        let text = SAMPLE.replacen("`SUCCESS", "`WONDER", 1);
        let text = format!("{}{text}\r\n{}", header(BillType::All), tail());
        each(&text, |line| assert_eq!(line.kind, TradeKind::Other("WONDER"))).unwrap();
    }
}
