//! Refund, refund query, and another way for a refund that turned abnormal.

use super::Call;
use crate::order::Api;
use crate::refund::{self, RefundRefusal};
use crate::trade::Trade;
use crate::wechat::{find, find_refunded, told_refund};
use serde::Deserialize;
use tongbao_types::HttpResponse;
use tongbao_wechat::v3::{RefundOrder, RefundQuery, Refusal};

/// What 异常退款处理 must have; the bank's particulars may be there, encrypted.
#[derive(Deserialize)]
struct AbnormalRefund {
    out_refund_no: String,
    #[serde(rename = "type")]
    way: String,
}

const WAYS: [&str; 2] = ["USER_BANK_CARD", "MERCHANT_BANK_CARD"];

impl Call<'_> {
    pub(super) fn refund(&self) -> Result<HttpResponse, Refusal> {
        let asked = RefundOrder::decode(self.opened)?;
        let trade = find(self.pretend, &asked.key, &self.opened.merchant);
        let trade = trade.ok_or_else(|| refused(RefundRefusal::NotExist))?;
        let order = refund::RefundOrder {
            out_refund_no: asked.out_refund_no,
            amount: asked.refund.0,
            total: Some(asked.total.0),
            reason: asked.reason,
            notify_url: asked.notify_url,
            api: Api::WechatV3,
        };
        let key = &trade.order.key;
        let taken = self.pretend.change(|world, now| world.refund(key, order, now));
        let taken = taken.map_err(refused)?;
        let told = told_refund(&taken.trade, &taken.refund, &Api::WechatV3);
        Ok(RefundOrder::encode_reply(&told, self.replier))
    }

    pub(super) fn refund_query(&self) -> Result<HttpResponse, Refusal> {
        let number = RefundQuery::decode(self.opened)?.out_refund_no;
        let trade = find_refunded(self.pretend, &number, &self.opened.merchant);
        let trade = trade.ok_or_else(RefundQuery::not_found)?;
        let refund = trade.refund(&number).ok_or_else(RefundQuery::not_found)?;
        let told = told_refund(&trade, refund, &Api::WechatV3);
        Ok(RefundQuery::encode_reply(&told, self.replier))
    }

    pub(super) fn retry_abnormal(&self, refund_id: &str) -> Result<HttpResponse, Refusal> {
        let asked: Option<AbnormalRefund> = serde_json::from_slice(&self.opened.request.body).ok();
        let asked = asked.filter(|asked| WAYS.contains(&asked.way.as_str()));
        let asked = asked.ok_or_else(|| Refusal::new(400, "PARAM_ERROR", "参数错误"))?;
        let known = find_refunded(self.pretend, refund_id, &self.opened.merchant);
        let is_meant = |trade: &Trade| {
            trade
                .refund(&asked.out_refund_no)
                .is_some_and(|refund| refund.refund_id.as_deref() == Some(refund_id))
        };
        known.filter(is_meant).ok_or_else(RefundQuery::not_found)?;
        let trade = self.pretend.change(|world, now| world.retry_abnormal(refund_id, now));
        let not_abnormal = || Refusal::new(400, "INVALID_REQUEST", "退款单状态不是退款异常");
        let trade = trade.ok_or_else(not_abnormal)?;
        let refund = trade.refund(&asked.out_refund_no).ok_or_else(RefundQuery::not_found)?;
        let told = told_refund(&trade, refund, &Api::WechatV3);
        Ok(RefundOrder::encode_reply(&told, self.replier))
    }
}

fn refused(refusal: RefundRefusal) -> Refusal {
    let (status, code, message) = match refusal {
        RefundRefusal::NotExist | RefundRefusal::Unpaid => {
            (404, "RESOURCE_NOT_EXISTS", "订单不存在")
        }
        RefundRefusal::Closed => (400, "INVALID_REQUEST", "订单已关闭"),
        RefundRefusal::Differs => (400, "INVALID_REQUEST", "您的请求参数与订单信息不一致"),
        RefundRefusal::Exceeds => (400, "INVALID_REQUEST", "退款金额大于可退金额"),
        RefundRefusal::FullyRefunded => (400, "INVALID_REQUEST", "订单已全额退款"),
        RefundRefusal::Overdue | RefundRefusal::Finished => {
            (400, "INVALID_REQUEST", "订单已经超过可退款的最大期限")
        }
        RefundRefusal::TooMany => (400, "INVALID_REQUEST", "一笔订单最多支持50次部分退款"),
    };
    Refusal::new(status, code, message)
}
