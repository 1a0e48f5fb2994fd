//! Writes trade bills: each column's text by its name, and the sums.

use super::BillType;
use super::columns;
use super::money::{BillFee, count, short_yuan};
use super::trade::{RefundLine, TradeLine};
use super::write::Writer;
use crate::china::spaced_time;
use tongbao_types::{Fen, Timestamp};

/// The provider's bill of this type. Lines that do not belong to it are left out.
pub fn write_trade_bill<'a>(
    bill_type: BillType,
    lines: impl IntoIterator<Item = TradeLine<'a>>,
) -> String {
    let names = columns::trade(bill_type);
    let mut writer = Writer::new(names);
    let mut sums = Sums::default();
    for line in lines {
        let belongs = match bill_type {
            BillType::All => true,
            BillType::Success => line.refund.is_none(),
            BillType::Refund => line.refund.is_some(),
        };
        if belongs {
            writer.row(names.iter().map(|name| cell(&line, name)));
            sums.add(&line);
        }
    }
    writer.end(columns::trade_summary(bill_type), |name| sums.cell(name))
}

fn cell(line: &TradeLine<'_>, name: &str) -> String {
    let text = match name {
        "交易时间" => return spaced_time(line.time),
        "公众账号ID" => line.app_id,
        "商户号" => line.mch_id,
        "特约商户号" => or_zero(line.sub_mch_id),
        "设备号" => line.device_info,
        "微信订单号" => line.transaction_id,
        "商户订单号" => line.out_trade_no,
        "用户标识" => line.openid,
        "交易类型" => line.trade_type,
        "交易状态" => line.kind.as_str(),
        "付款银行" => line.bank_type,
        "货币种类" => line.currency,
        "应结订单金额" => return line.settlement.to_yuan(),
        "代金券金额" => return line.coupon.to_yuan(),
        "商品名称" => line.body,
        "商户数据包" => line.attach,
        "手续费" => return line.fee.to_text(),
        "费率" => line.rate,
        "订单金额" => return line.total.to_yuan(),
        "费率备注" => line.rate_note,
        of_refund => return refund_cell(line.refund.as_ref(), of_refund),
    };
    text.to_owned()
}

fn refund_cell(refund: Option<&RefundLine<'_>>, name: &str) -> String {
    let time = |moment: Option<Timestamp>| moment.map(spaced_time).unwrap_or_default();
    let money = |amount: fn(&RefundLine<'_>) -> Fen| refund.map_or(Fen::ZERO, amount).to_yuan();
    match name {
        "退款申请时间" => time(refund.and_then(|r| r.created_time)),
        "退款成功时间" => time(refund.and_then(|r| r.success_time)),
        "微信退款单号" => or_zero(refund.map_or("", |r| r.refund_id)).to_owned(),
        "商户退款单号" => or_zero(refund.map_or("", |r| r.out_refund_no)).to_owned(),
        "退款金额" => money(|r| r.settlement),
        "充值券退款金额" => money(|r| r.coupon),
        "申请退款金额" => money(|r| r.requested),
        "退款类型" => refund.map_or("", |r| r.channel).to_owned(),
        "退款状态" => refund.map_or("", |r| r.status).to_owned(),
        _ => String::new(),
    }
}

#[derive(Default)]
struct Sums {
    n: usize,
    settlement: Fen,
    total: Fen,
    refund_settlement: Fen,
    refund_coupon: Fen,
    refund_requested: Fen,
    fee: BillFee,
}

impl Sums {
    fn add(&mut self, line: &TradeLine<'_>) {
        let plus = |sum: &mut Fen, more: Fen| sum.0 = sum.0.saturating_add(more.0);
        self.n += 1;
        plus(&mut self.settlement, line.settlement);
        plus(&mut self.total, line.total);
        self.fee.0 = self.fee.0.saturating_add(line.fee.0);
        if let Some(refund) = &line.refund {
            plus(&mut self.refund_settlement, refund.settlement);
            plus(&mut self.refund_coupon, refund.coupon);
            plus(&mut self.refund_requested, refund.requested);
        }
    }

    fn cell(&self, name: &str) -> String {
        match name {
            "总交易单数" => count(self.n),
            "应结订单总金额" => short_yuan(self.settlement),
            "退款总金额" => short_yuan(self.refund_settlement),
            "充值券退款总金额" => short_yuan(self.refund_coupon),
            "手续费总金额" => self.fee.to_short(),
            "订单总金额" => short_yuan(self.total),
            "申请退款总金额" => short_yuan(self.refund_requested),
            _ => String::new(),
        }
    }
}

/// Bills write `0` where there is no number.
fn or_zero(text: &str) -> &str {
    if text.is_empty() { "0" } else { text }
}
