//! Bills, made from the sandbox's own trades (Alipay, 查询对账单下载地址): first an address that is
//! good for half a minute, then a zip. A day's bill is there from nine o'clock of the next day, a
//! month's from nine o'clock of the first day of the next month.

use super::{BUYER_LOGON_ID, Caller, mark};
use crate::magic::Effect;
use crate::pretend::Pretend;
use crate::refund::{Refund, RefundState};
use crate::trade::Trade;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::{TimeZone, offset};
use serde::Deserialize;
use std::io::Cursor;
use std::sync::Arc;
use tongbao_alipay::Refusal;
use tongbao_alipay::bill::{
    BillHead, FundLine, TradeLine, TradeLineKind, write_fund_bill, write_trade_bill,
};
use tongbao_alipay::open::bill_download_url::{
    BillDate, BillDownloadUrl, BillDownloadUrlReply, BillType,
};
use tongbao_crypt::digest;
use tongbao_types::{Fen, Provider, Span, Timestamp};

const PATH: &str = "/downloadBillFile.resource";
/// After the end of the day or month.
const THERE_AFTER: Span = Span::from_seconds(9 * 3_600);
/// How long an address is good.
const LINK_LIFE: Span = Span::from_seconds(30);
/// The merchant's rate, in thousandths.
const RATE: i64 = 6;

/// The route of the files.
pub(super) fn router() -> Router<Arc<Pretend>> {
    Router::new().route(PATH, get(download))
}

impl Caller<'_> {
    pub(super) fn bill(&self, biz: &str) -> Result<BillDownloadUrlReply, Refusal> {
        let BillDownloadUrl { bill_type, bill_date } = BillDownloadUrl::read(biz)?;
        let now = self.pretend.now();
        let range = range(bill_date).ok_or(Refusal::INVAILID_ARGUMENTS)?;
        if now < range.1 + THERE_AFTER {
            return Err(Refusal::BILL_NOT_EXIST);
        }
        if Bill::of(self.pretend, range).is_empty(bill_type) {
            return Err(Refusal::NO_BILL_DATA);
        }
        let (kind, day, at) = (bill_type.as_str(), bill_date.to_text(), now.as_seconds());
        let token = mark(self.pretend, &marked(kind, &day, at));
        let seller = &self.pretend.credentials.alipay.seller_id;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("bizType", kind)
            .append_pair("userId", &format!("{seller}0156"))
            .append_pair("fileType", "csv.zip")
            .append_pair("bizDates", &day)
            .append_pair("timestamp", &at.to_string())
            .append_pair("token", &token)
            .finish();
        Ok(BillDownloadUrlReply { bill_download_url: format!("{}{PATH}?{query}", self.base) })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Download {
    biz_type: String,
    biz_dates: String,
    timestamp: i64,
    token: String,
}

async fn download(State(pretend): State<Arc<Pretend>>, Query(asked): Query<Download>) -> Response {
    let Some((name, zip)) = zip(&pretend, &asked) else {
        let why = "此链接无效或已过期";
        return (StatusCode::FORBIDDEN, why).into_response();
    };
    let shown = format!("attachment; filename={name}");
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, shown),
    ];
    (headers, zip).into_response()
}

/// The file and its name, while its address is good.
fn zip(pretend: &Pretend, asked: &Download) -> Option<(String, Vec<u8>)> {
    let Download { biz_type, biz_dates, timestamp, token } = asked;
    let is_ours = *token == mark(pretend, &marked(biz_type, biz_dates, *timestamp));
    let age = pretend.now().since(Timestamp::from_seconds(*timestamp));
    if !is_ours || age > LINK_LIFE {
        return None;
    }
    let (from, until) = range(BillDate::from_text(biz_dates)?)?;
    let bill = Bill::of(pretend, (from, until));
    let seller_id = pretend.credentials.alipay.seller_id.clone();
    let head = BillHead { seller_id, from, until, exported_at: until + THERE_AFTER };
    let out = Cursor::new(Vec::new());
    let written = match BillType::from_word(biz_type)? {
        BillType::Trade => write_trade_bill(out, &head, bill.trade_lines().into_iter()),
        BillType::SignCustomer => write_fund_bill(out, &head, bill.fund_lines().into_iter()),
    };
    let written = written.expect("writing a bill to memory does not fail");
    Some((head.zip_name(), written.into_inner()))
}

fn marked(kind: &str, date: &str, at: i64) -> String {
    format!("bill {kind} {date} {at}")
}

/// From when until when (exclusive) a bill is.
fn range(date: BillDate) -> Option<(Timestamp, Timestamp)> {
    let (first, next) = match date {
        BillDate::Day(day) => (day, day.checked_add(1.day()).ok()?),
        BillDate::Month(day) => (day.first_of_month(), day.last_of_month().tomorrow().ok()?),
    };
    Some((midnight(first)?, midnight(next)?))
}

/// The beginning of a day in China.
fn midnight(day: Date) -> Option<Timestamp> {
    let zoned = day.to_zoned(TimeZone::fixed(offset(8))).ok()?;
    Some(Timestamp::from(zoned.timestamp()))
}

/// The paid trades, and the time that matters.
struct Bill {
    trades: Vec<Trade>,
    range: (Timestamp, Timestamp),
}

/// Money that moved: a payment's, or a refund's.
struct Movement<'a> {
    at: Timestamp,
    trade: &'a Trade,
    refund: Option<&'a Refund>,
}

impl Bill {
    fn of(pretend: &Pretend, range: (Timestamp, Timestamp)) -> Bill {
        let now = pretend.now();
        let mut world = pretend.world();
        let mine = |trade: &&Trade| {
            trade.order.key.provider == Provider::Alipay && trade.paid_at.is_some()
        };
        Bill { trades: world.trades(now).filter(mine).cloned().collect(), range }
    }

    fn is_empty(&self, kind: BillType) -> bool {
        match kind {
            BillType::Trade => self.trade_lines().is_empty(),
            BillType::SignCustomer => self.fund_lines().is_empty(),
        }
    }

    /// All that ever moved, in the order of time.
    fn movements(&self) -> Vec<Movement<'_>> {
        let mut all = Vec::new();
        for trade in &self.trades {
            all.extend(trade.paid_at.map(|at| Movement { at, trade, refund: None }));
            let done = trade.refunds.iter().filter(|one| one.state == RefundState::Success);
            all.extend(done.filter_map(|refund| {
                Some(Movement { at: refund.ended_at?, trade, refund: Some(refund) })
            }));
        }
        all.sort_by_key(|one| one.at);
        all
    }

    fn is_in(&self, at: Timestamp) -> bool {
        (self.range.0..self.range.1).contains(&at)
    }

    fn trade_lines(&self) -> Vec<TradeLine> {
        let mine = self.movements().into_iter().filter(|one| self.is_in(one.at));
        mine.filter_map(|one| one.trade_line()).collect()
    }

    fn fund_lines(&self) -> Vec<FundLine> {
        let mut balance = 0;
        let mut lines = Vec::new();
        for one in self.movements() {
            let [money, fee] = one.fund_lines(&mut balance);
            let nothing = fee.income == Fen::ZERO && fee.outgo == Fen::ZERO;
            if self.is_in(one.at) {
                lines.push(money);
                lines.extend((!nothing).then_some(fee));
            }
        }
        lines
    }
}

impl Movement<'_> {
    /// A line of 业务明细; none if the order's amount asks for a bill without it.
    fn trade_line(&self) -> Option<TradeLine> {
        let order = &self.trade.order;
        let effect = self.trade.effect().filter(|_| self.refund.is_none());
        if effect == Some(Effect::BillMissing) {
            return None;
        }
        let more = i64::from(effect == Some(Effect::BillAmount));
        let amount = match self.refund {
            None => order.amount + more,
            Some(refund) => -refund.amount,
        };
        let kind =
            if self.refund.is_some() { TradeLineKind::Refund } else { TradeLineKind::Payment };
        Some(TradeLine {
            trade_no: self.trade.trade_no.clone()?,
            out_trade_no: order.key.out_trade_no.clone(),
            kind,
            subject: order.subject.clone(),
            created_at: self.refund.map_or(self.trade.created_at, |one| Some(one.accepted_at)),
            finished_at: Some(self.at),
            store: (String::new(), String::new()),
            buyer: BUYER_LOGON_ID.to_owned(),
            order_amount: Fen(amount),
            receipt_amount: Fen(amount),
            out_request_no: self.refund.map(|one| one.out_refund_no.clone()).unwrap_or_default(),
            service_fee: Fen(-fee(amount)),
            remark: self.refund.and_then(|one| one.reason.clone()).unwrap_or_default(),
        })
    }

    /// The lines of 账务明细: the money and its fee. `balance` goes along.
    fn fund_lines(&self, balance: &mut i64) -> [FundLine; 2] {
        let fee_of = |amount| fee(amount);
        match self.refund {
            None => {
                let amount = self.trade.order.amount;
                let money = self.fund_line(amount, "在线支付", balance);
                [money, self.fund_line(-fee_of(amount), "收费", balance)]
            }
            Some(refund) => {
                let money = self.fund_line(-refund.amount, "交易退款", balance);
                [money, self.fund_line(fee_of(refund.amount), "退费", balance)]
            }
        }
    }

    fn fund_line(&self, amount: i64, business: &str, balance: &mut i64) -> FundLine {
        *balance += amount;
        let number = self.refund.map_or("", |refund| &refund.out_refund_no);
        let trade_no = self.trade.trade_no.clone().unwrap_or_default();
        let order = &self.trade.order;
        FundLine {
            entry_no: entry_no(&format!("{trade_no} {number} {business}")),
            business_no: trade_no,
            out_trade_no: order.key.out_trade_no.clone(),
            subject: order.subject.clone(),
            at: self.at,
            counterparty: BUYER_LOGON_ID.to_owned(),
            income: Fen(amount.max(0)),
            outgo: Fen((-amount).max(0)),
            balance: Some(Fen(*balance)),
            channel: "支付宝".to_owned(),
            business: business.to_owned(),
            remark: self.refund.and_then(|one| one.reason.clone()).unwrap_or_default(),
        }
    }
}

/// The fee of an amount, in fen, with its sign.
fn fee(amount: i64) -> i64 {
    amount.signum() * ((amount.abs() * RATE + 500) / 1000)
}

/// Fourteen digits, the same for the same movement.
fn entry_no(movement: &str) -> String {
    let hash = digest::sha256_hex(movement.as_bytes());
    let number = u64::from_str_radix(&hash[..14], 16).unwrap_or_default();
    format!("{:014}", number % 100_000_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_are_chinas() {
        let range = |text: &str| range(BillDate::from_text(text).unwrap()).unwrap();
        let shown = |(from, until): (Timestamp, Timestamp)| format!("{from} {until}");
        assert_eq!(shown(range("2026-11-21")), "2026-11-20T16:00:00Z 2026-11-21T16:00:00Z");
        assert_eq!(shown(range("2026-12")), "2026-11-30T16:00:00Z 2026-12-31T16:00:00Z");
    }

    #[test]
    fn a_fee_is_rounded_and_goes_the_other_way_for_refunds() {
        assert_eq!([fee(8888), fee(-8888), fee(83), fee(84), fee(1)], [53, -53, 0, 1, 0]);
    }
}
