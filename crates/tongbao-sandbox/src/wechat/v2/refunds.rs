//! Refund and refund query.

use super::Call;
use crate::refund::{self, RefundRefusal};
use crate::wechat::{find, find_refunded, told_refund};
use tongbao_types::HttpResponse;
use tongbao_wechat::v2::{RefundOrder, RefundQuery, Refusal};
use tongbao_wechat::{Refund, RefundKey, TradeKey};

impl Call<'_> {
    pub(super) fn refund(&self) -> Result<HttpResponse, Refusal> {
        let asked = RefundOrder::decode(self.opened)?;
        let trade = find(self.pretend, &asked.key, &self.opened.merchant);
        let trade = trade.ok_or_else(|| refused(RefundRefusal::NotExist))?;
        let order = refund::RefundOrder {
            out_refund_no: asked.out_refund_no,
            amount: asked.refund_fee.0,
            total: Some(asked.total_fee.0),
            reason: asked.refund_desc,
            notify_url: asked.notify_url,
            api: self.door(),
        };
        let key = &trade.order.key;
        let taken = self.pretend.change(|world, now| world.refund(key, order, now));
        let taken = taken.map_err(refused)?;
        let told = told_refund(&taken.trade, &taken.refund, &taken.refund.api);
        Ok(RefundOrder::encode_reply(&told, self.replier))
    }

    pub(super) fn refund_query(&self) -> Result<HttpResponse, Refusal> {
        let asked = RefundQuery::decode(self.opened)?;
        asked.encode_reply(&self.refunds(&asked.key), self.replier)
    }

    fn refunds(&self, key: &RefundKey) -> Vec<Refund> {
        let merchant = &self.opened.merchant;
        let (trade, number) = match key {
            RefundKey::OutRefundNo(number) | RefundKey::RefundId(number) => {
                (find_refunded(self.pretend, number, merchant), Some(number))
            }
            RefundKey::OutTradeNo(number) => {
                (find(self.pretend, &TradeKey::OutTradeNo(number.clone()), merchant), None)
            }
            RefundKey::TransactionId(id) => {
                (find(self.pretend, &TradeKey::TransactionId(id.clone()), merchant), None)
            }
        };
        let Some(trade) = trade else { return Vec::new() };
        let meant = |one: &&refund::Refund| {
            number.is_none_or(|number| {
                one.out_refund_no == *number || one.refund_id.as_ref() == Some(number)
            })
        };
        let door = self.door();
        trade.refunds.iter().filter(meant).map(|one| told_refund(&trade, one, &door)).collect()
    }
}

/// In the words of production, as far as they were captured.
fn refused(refusal: RefundRefusal) -> Refusal {
    let (code, message) = match refusal {
        RefundRefusal::NotExist | RefundRefusal::Unpaid => ("ORDERNOTEXIST", "订单不存在"),
        RefundRefusal::Closed => ("ERROR", "订单已关闭"),
        RefundRefusal::Differs => {
            ("REFUND_FEE_MISMATCH", "订单金额或退款金额与之前请求不一致，请核实后再试")
        }
        RefundRefusal::Exceeds => ("INVALID_REQUEST", "refund_fee大于可退金额"),
        RefundRefusal::FullyRefunded => ("ERROR", "订单已全额退款"),
        RefundRefusal::Overdue | RefundRefusal::Finished => {
            ("TRADE_OVERDUE", "订单已经超过可退款的最大期限")
        }
        RefundRefusal::TooMany => ("INVALID_REQUEST", "一笔订单最多支持50次部分退款"),
    };
    Refusal::business(code, message)
}
