//! The bills of both APIs, made from the sandbox's own trades (下载交易账单, 下载资金账单): a day's
//! bill is there from ten o'clock of the next day, and its texts stay as they were at nine.

use crate::magic::Effect;
use crate::order::Party;
use crate::pretend::Pretend;
use crate::refund::{Refund, RefundState};
use crate::trade::{State, Trade};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::HashMap;
use std::io::Write;
use tongbao_crypt::digest;
use tongbao_types::{Fen, Provider, Span, Timestamp};
use tongbao_wechat::{
    BillDate, BillFee, BillFile, BillPacking, BillType, FundAccount, FundDirection, FundLine,
    RefundLine, TradeKind, TradeLine, write_fund_bill, write_trade_bill,
};

const DAY: Span = Span::from_seconds(86_400);
/// After the end of the day.
const MADE_AFTER: Span = Span::from_seconds(9 * 3_600);
const SHOWN_AFTER: Span = Span::from_seconds(10 * 3_600);
/// Three months.
const KEPT_FOR: Span = Span::from_seconds(92 * 86_400);
/// How long the address of a file is good (API v3).
const LINK_LIFE: Span = Span::from_seconds(300);
/// The merchant's rate, in thousandths.
const RATE: i64 = 6;
const RATE_TEXT: &str = "0.60%";

/// Why there is no bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBill {
    /// Nothing happened on that day, or it is not over, or too long ago.
    None,
    /// It is being made; ten o'clock is not yet.
    Creating,
}

/// The trade bill of a day: all trades, or those of one sub-merchant.
pub(super) fn trade_bill(
    pretend: &Pretend,
    date: BillDate,
    bill_type: BillType,
    sub_mch_id: Option<&str>,
) -> Result<String, NoBill> {
    let (trades, made_at) = trades(pretend, date)?;
    let wanted = |trade: &&Trade| {
        sub_mch_id.is_none_or(|wanted| trade.order.party.sub_mch_id.as_deref() == Some(wanted))
    };
    let mch_id = &pretend.credentials.wechat.mch_id;
    let mut lines: Vec<TradeLine<'_>> = trades
        .iter()
        .filter(wanted)
        .flat_map(|trade| lines(trade, mch_id, made_at))
        .filter(|line| BillDate::of(line.time) == date)
        .collect();
    let belongs = |line: &TradeLine<'_>| match bill_type {
        BillType::All => true,
        BillType::Success => line.refund.is_none(),
        BillType::Refund => line.refund.is_some(),
    };
    if !lines.iter().any(belongs) {
        return Err(NoBill::None);
    }
    lines.sort_by_key(|line| line.time);
    Ok(write_trade_bill(bill_type, lines))
}

/// The movements of an account on a day; everything here moves on the basic one.
pub(super) fn fund_bill(
    pretend: &Pretend,
    date: BillDate,
    account: FundAccount,
) -> Result<String, NoBill> {
    let (trades, _) = trades(pretend, date)?;
    let mut movements: Vec<Movement> = trades.iter().flat_map(movements).collect();
    movements.sort_by_key(|one| one.time);
    let mut balance = 0;
    let mut lines = Vec::new();
    for one in &movements {
        balance += one.amount;
        if BillDate::of(one.time) == date && account == FundAccount::Basic {
            lines.push(one.line(balance));
        }
    }
    if lines.is_empty() { Err(NoBill::None) } else { Ok(write_fund_bill(lines)) }
}

/// A text as it travels.
pub(super) fn pack(text: &str, packing: BillPacking) -> BillFile {
    let body = match packing {
        BillPacking::Plain => text.as_bytes().to_vec(),
        BillPacking::Gzip => {
            let mut packer = GzEncoder::new(Vec::new(), Compression::default());
            let packed = packer.write_all(text.as_bytes()).and_then(|()| packer.finish());
            packed.expect("writing to memory does not fail")
        }
    };
    BillFile { packing, body: body.into() }
}

/// The files that API v3 has given addresses of, by token.
#[derive(Debug, Default)]
pub(crate) struct BillFiles(HashMap<String, (Timestamp, String)>);

impl BillFiles {
    /// Keeps a text under a token for as long as its address is good.
    pub(super) fn keep(&mut self, token: &str, text: &str, now: Timestamp) {
        self.0.retain(|_, (since, _)| now.since(*since) < LINK_LIFE);
        self.0.insert(token.to_owned(), (now, text.to_owned()));
    }

    /// The text of a token, while its address is good.
    pub(super) fn find(&self, token: &str, now: Timestamp) -> Option<&str> {
        let (since, text) = self.0.get(token)?;
        (now.since(*since) < LINK_LIFE).then_some(text)
    }
}

/// All paid trades, if the day's bill is there by now; and when it was made.
fn trades(pretend: &Pretend, date: BillDate) -> Result<(Vec<Trade>, Timestamp), NoBill> {
    let now = pretend.now();
    let end = date.start() + DAY;
    if now < end || now.since(end) > KEPT_FOR {
        return Err(NoBill::None);
    }
    if now < end + SHOWN_AFTER {
        return Err(NoBill::Creating);
    }
    let mut world = pretend.world();
    let wechat = |trade: &&Trade| trade.order.key.provider == Provider::Wechat;
    let paid = world.trades(now).filter(wechat).filter(|trade| trade.paid_at.is_some());
    Ok((paid.cloned().collect(), end + MADE_AFTER))
}

/// The fee of an amount, in fen.
fn fee(amount: i64) -> i64 {
    (amount * RATE + 500) / 1000
}

/// A payment, its refunds and its reversal.
fn lines<'a>(trade: &'a Trade, mch_id: &'a str, made_at: Timestamp) -> Vec<TradeLine<'a>> {
    let Some(paid_at) = trade.paid_at else { return Vec::new() };
    let mut all = Vec::new();
    let effect = trade.effect();
    if effect != Some(Effect::BillMissing) {
        let more = i64::from(effect == Some(Effect::BillAmount));
        let total = Fen(trade.order.amount + more);
        let fee = BillFee(fee(total.0) * 1000);
        let bare = line(trade, mch_id, TradeKind::Payment, paid_at);
        all.push(TradeLine { total, settlement: total, fee, ..bare });
    }
    for refund in &trade.refunds {
        let reversal = trade.state == State::Reversed && trade.closed_at == refund.ended_at;
        let kind = if reversal { TradeKind::Revoked } else { TradeKind::Refund };
        let bare = line(trade, mch_id, kind, refund.accepted_at);
        let fee = BillFee(-fee(refund.amount) * 1000);
        all.push(TradeLine { refund: Some(refund_line(refund, made_at)), fee, ..bare });
    }
    all
}

fn line<'a>(
    trade: &'a Trade,
    mch_id: &'a str,
    kind: TradeKind<'a>,
    time: Timestamp,
) -> TradeLine<'a> {
    let order = &trade.order;
    let Party { sub_mch_id, .. } = &order.party;
    TradeLine {
        time,
        app_id: &order.app_id,
        mch_id,
        sub_mch_id: sub_mch_id.as_deref().unwrap_or_default(),
        device_info: "",
        transaction_id: trade.trade_no.as_deref().unwrap_or_default(),
        out_trade_no: &order.key.out_trade_no,
        openid: trade.payer.as_deref().unwrap_or_default(),
        trade_type: order.product.trade_type(),
        kind,
        bank_type: "CFT",
        currency: "CNY",
        total: Fen::ZERO,
        settlement: Fen::ZERO,
        coupon: Fen::ZERO,
        refund: None,
        body: &order.subject,
        attach: order.attach.as_deref().unwrap_or_default(),
        fee: BillFee(0),
        rate: RATE_TEXT,
        rate_note: "",
    }
}

/// As it stood when the bill was made; bills are not made anew.
fn refund_line(refund: &Refund, made_at: Timestamp) -> RefundLine<'_> {
    let ended = refund.ended_at.filter(|at| *at <= made_at);
    let status = match (ended, refund.state) {
        (None, _) | (_, RefundState::Processing) => "PROCESSING",
        (_, RefundState::Success) => "SUCCESS",
        (_, RefundState::Abnormal) => "CHANGE",
        (_, RefundState::Closed) => "FAIL",
    };
    RefundLine {
        created_time: Some(refund.accepted_at),
        success_time: ended.filter(|_| refund.state == RefundState::Success),
        refund_id: refund.refund_id.as_deref().unwrap_or_default(),
        out_refund_no: &refund.out_refund_no,
        requested: Fen(refund.amount),
        settlement: Fen(refund.amount),
        coupon: Fen::ZERO,
        channel: "ORIGINAL",
        status,
    }
}

/// Money in or out of the account.
struct Movement {
    time: Timestamp,
    business_id: String,
    flow_id: String,
    kind: &'static str,
    /// In fen; negative if it goes out.
    amount: i64,
    voucher: String,
}

impl Movement {
    fn new(time: Timestamp, id: &str, kind: &'static str, amount: i64, voucher: &str) -> Movement {
        // A number of its own that is the same in each bill.
        let hash = digest::sha256_hex(format!("{id} {kind} {voucher}").as_bytes());
        let hash = u64::from_str_radix(&hash[..15], 16).unwrap_or_default();
        Movement {
            time,
            business_id: id.to_owned(),
            flow_id: format!("1000{hash:020}"),
            kind,
            amount,
            voucher: voucher.to_owned(),
        }
    }

    fn line(&self, balance: i64) -> FundLine<'_> {
        let direction =
            if self.amount < 0 { FundDirection::Expense } else { FundDirection::Income };
        FundLine {
            time: self.time,
            business_id: &self.business_id,
            flow_id: &self.flow_id,
            name: "微信支付",
            kind: self.kind,
            direction,
            amount: Fen(self.amount.abs()),
            balance: Fen(balance),
            submitter: "system",
            note: "",
            voucher: &self.voucher,
        }
    }
}

/// What a trade moved: the money, and the fee of it.
fn movements(trade: &Trade) -> Vec<Movement> {
    let Some(paid_at) = trade.paid_at else { return Vec::new() };
    let id = trade.trade_no.as_deref().unwrap_or_default();
    let number = trade.order.key.out_trade_no.as_str();
    let amount = trade.order.amount;
    let mut all = vec![
        Movement::new(paid_at, id, "交易", amount, number),
        Movement::new(paid_at, id, "扣除交易手续费", -fee(amount), number),
    ];
    let refunds = trade.refunds.iter().filter(|refund| refund.state != RefundState::Closed);
    for refund in refunds {
        let id = refund.refund_id.as_deref().unwrap_or_default();
        let (at, number) = (refund.accepted_at, refund.out_refund_no.as_str());
        all.push(Movement::new(at, id, "退款", -refund.amount, number));
        all.push(Movement::new(at, id, "退还交易手续费", fee(refund.amount), number));
    }
    all.retain(|one| one.amount != 0);
    all
}
