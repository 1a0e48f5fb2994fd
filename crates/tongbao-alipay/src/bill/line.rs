//! A line of a detail file as values, both ways.
//!
//! Amounts are signed as in the file: a refund's are negative, its service fee is positive.

use super::read::BillRow;
use super::{BillError, BillFault};
use crate::beijing;
use tongbao_types::{Fen, Timestamp};

/// The columns of 业务明细, as the sandbox writes them and as production did in 2020.
pub(super) const TRADE_COLUMNS: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,\
     门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,\
     商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,\
     分润（元）,备注";

/// The columns of 账务明细.
pub(super) const FUND_COLUMNS: &str = "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,\
     收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注";

pub(super) const TRADE_REQUIRED: &[&str] = &[
    "支付宝交易号",
    "商户订单号",
    "业务类型",
    "订单金额(元)",
    "商家实收(元)",
    "退款批次号/请求号",
    "服务费(元)",
];

pub(super) const FUND_REQUIRED: &[&str] = &[
    "账务流水号",
    "业务流水号",
    "商户订单号",
    "发生时间",
    "收入金额(+元)",
    "支出金额(-元)",
    "业务类型",
];

/// 业务类型 of a line of the trade bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradeLineKind {
    /// 交易.
    Payment,
    /// 退款.
    Refund,
    /// A word that this version does not know.
    Other(String),
}

/// A line of 业务明细: one payment, or one refund, which repeats its trade's two numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeLine {
    /// 支付宝交易号.
    pub trade_no: String,
    /// 商户订单号, our number.
    pub out_trade_no: String,
    /// 业务类型.
    pub kind: TradeLineKind,
    /// 商品名称.
    pub subject: String,
    /// 创建时间.
    pub created_at: Option<Timestamp>,
    /// 完成时间.
    pub finished_at: Option<Timestamp>,
    /// 门店编号 and 门店名称; mostly empty.
    pub store: (String, String),
    /// 对方账户, masked.
    pub buyer: String,
    /// 订单金额, in fen.
    pub order_amount: Fen,
    /// 商家实收: what the merchant gets.
    pub receipt_amount: Fen,
    /// 退款批次号/请求号: the number of a refund; empty on payments.
    pub out_request_no: String,
    /// 服务费: negative on a payment.
    pub service_fee: Fen,
    /// 备注.
    pub remark: String,
}

/// A line of 账务明细: one movement of the merchant's balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundLine {
    /// 账务流水号: the number of this movement.
    pub entry_no: String,
    /// 业务流水号: mostly the trade's number.
    pub business_no: String,
    /// 商户订单号, our number, if it belongs to an order.
    pub out_trade_no: String,
    /// 商品名称.
    pub subject: String,
    /// 发生时间.
    pub at: Timestamp,
    /// 对方账号, masked.
    pub counterparty: String,
    /// 收入金额: what came in, zero or more.
    pub income: Fen,
    /// 支出金额: what went out, zero or more (the file has it negative).
    pub outgo: Fen,
    /// 账户余额 after it.
    pub balance: Option<Fen>,
    /// 交易渠道.
    pub channel: String,
    /// 业务类型, such as 在线支付, 交易退款, 收费.
    pub business: String,
    /// 备注.
    pub remark: String,
}

impl TradeLineKind {
    /// The word in the file.
    pub fn as_str(&self) -> &str {
        match self {
            TradeLineKind::Payment => "交易",
            TradeLineKind::Refund => "退款",
            TradeLineKind::Other(word) => word,
        }
    }

    fn from_word(word: &str) -> TradeLineKind {
        match word {
            "交易" => TradeLineKind::Payment,
            "退款" | "交易退款" => TradeLineKind::Refund,
            other => TradeLineKind::Other(other.to_owned()),
        }
    }
}

impl TradeLine {
    /// Reads a line of 业务明细.
    pub fn read(row: &BillRow<'_>) -> Result<TradeLine, BillError> {
        let text = |name| row.cell(name).unwrap_or("").to_owned();
        let filled = |name| match row.cell(name) {
            Some(cell) if !cell.is_empty() => Ok(cell.to_owned()),
            _ => Err(row.error(BillFault::Malformed(name))),
        };
        Ok(TradeLine {
            trade_no: filled("支付宝交易号")?,
            out_trade_no: text("商户订单号"),
            kind: TradeLineKind::from_word(&filled("业务类型")?),
            subject: text("商品名称"),
            created_at: time(row, "创建时间")?,
            finished_at: time(row, "完成时间")?,
            store: (text("门店编号"), text("门店名称")),
            buyer: text("对方账户"),
            order_amount: required_yuan(row, "订单金额(元)")?,
            receipt_amount: required_yuan(row, "商家实收(元)")?,
            out_request_no: text("退款批次号/请求号"),
            service_fee: yuan(row, "服务费(元)")?.unwrap_or(Fen::ZERO),
            remark: text("备注"),
        })
    }

    /// The cells in the order of the columns; those that a line here does not know are empty or
    /// nothing.
    pub(super) fn cells(&self) -> Vec<String> {
        let zero = || Fen::ZERO.to_yuan();
        let text = |text: &str| text_cell(text);
        vec![
            text(&self.trade_no),
            text(&self.out_trade_no),
            text(self.kind.as_str()),
            text(&self.subject),
            self.created_at.map(beijing::print).unwrap_or_default(),
            self.finished_at.map(beijing::print).unwrap_or_default(),
            text(&self.store.0),
            text(&self.store.1),
            text(""),
            text(""),
            text(&self.buyer),
            self.order_amount.to_yuan(),
            self.receipt_amount.to_yuan(),
            zero(),
            zero(),
            zero(),
            zero(),
            zero(),
            text(""),
            zero(),
            zero(),
            text(&self.out_request_no),
            self.service_fee.to_yuan(),
            zero(),
            text(&self.remark),
        ]
    }
}

impl FundLine {
    /// Reads a line of 账务明细.
    pub fn read(row: &BillRow<'_>) -> Result<FundLine, BillError> {
        let text = |name| row.cell(name).unwrap_or("").to_owned();
        let malformed = |name| row.error(BillFault::Malformed(name));
        let entry_no = row.cell("账务流水号").filter(|cell| !cell.is_empty());
        let amount = |name| Ok(yuan(row, name)?.unwrap_or(Fen::ZERO));
        let outgo: Fen = amount("支出金额(-元)")?;
        let income: Fen = amount("收入金额(+元)")?;
        if income < Fen::ZERO {
            return Err(malformed("收入金额(+元)"));
        }
        Ok(FundLine {
            entry_no: entry_no.ok_or_else(|| malformed("账务流水号"))?.to_owned(),
            business_no: text("业务流水号"),
            out_trade_no: text("商户订单号"),
            subject: text("商品名称"),
            at: time(row, "发生时间")?.ok_or_else(|| malformed("发生时间"))?,
            counterparty: text("对方账号"),
            income,
            outgo: Fen(outgo.0.abs()),
            balance: yuan(row, "账户余额(元)")?,
            channel: text("交易渠道"),
            business: text("业务类型"),
            remark: text("备注"),
        })
    }

    /// The cells in the order of the columns.
    pub(super) fn cells(&self) -> Vec<String> {
        vec![
            text_cell(&self.entry_no),
            text_cell(&self.business_no),
            text_cell(&self.out_trade_no),
            text_cell(&self.subject),
            beijing::print(self.at),
            text_cell(&self.counterparty),
            self.income.to_yuan(),
            Fen(-self.outgo.0).to_yuan(),
            self.balance.map(Fen::to_yuan).unwrap_or_default(),
            text_cell(&self.channel),
            text_cell(&self.business),
            text_cell(&self.remark),
        ]
    }
}

/// What would end the cell or the line becomes a blank; the tab at the end is Alipay's.
pub(super) fn text_cell(text: &str) -> String {
    let clean = |c: char| if matches!(c, '\r' | '\n' | '\t') { ' ' } else { c };
    text.chars().map(clean).chain(['\t']).collect()
}

fn required_yuan(row: &BillRow<'_>, name: &'static str) -> Result<Fen, BillError> {
    yuan(row, name)?.ok_or_else(|| row.error(BillFault::Malformed(name)))
}

/// `None` if the cell is empty or the column is not there.
fn yuan(row: &BillRow<'_>, name: &'static str) -> Result<Option<Fen>, BillError> {
    let cell = row.cell(name).filter(|cell| !cell.is_empty());
    let Some(cell) = cell else { return Ok(None) };
    let (digits, sign) = match cell.strip_prefix('-') {
        Some(digits) => (digits, -1),
        None => (cell.strip_prefix('+').unwrap_or(cell), 1),
    };
    let fen = Fen::from_yuan(digits).map_err(|_| row.error(BillFault::Malformed(name)))?;
    Ok(Some(Fen(fen.0 * sign)))
}

fn time(row: &BillRow<'_>, name: &'static str) -> Result<Option<Timestamp>, BillError> {
    let cell = row.cell(name).filter(|cell| !cell.is_empty());
    let Some(cell) = cell else { return Ok(None) };
    let moment = beijing::parse(cell);
    moment.map(Some).ok_or_else(|| row.error(BillFault::Malformed(name)))
}
