//! Unified order, order query, close order.

use super::Call;
use crate::order::{Api, Key, Order};
use crate::trade::Closing;
use crate::wechat::{find, is_too_early_to_close, party, place, product, told};
use crate::world::OrderRefusal;
use tongbao_crypt::digest;
use tongbao_types::{HttpResponse, Provider, Secret};
use tongbao_wechat::v2::{CloseOrder, Opened, OrderQuery, Refusal, UnifiedOrder, sign};
use tongbao_wechat::{Fields, SignType, TradeKey};

impl Call<'_> {
    pub(super) fn order(&self) -> Result<HttpResponse, Refusal> {
        let asked = UnifiedOrder::decode(self.opened)?;
        let order = Order {
            key: Key::new(Provider::Wechat, asked.out_trade_no.as_str()),
            api: self.door(),
            product: product(asked.trade_type),
            app_id: self.opened.merchant.app_id.clone(),
            party: party(self.pretend, &self.opened.merchant).unwrap_or_default(),
            payer: asked.sub_openid.clone().or_else(|| asked.openid.clone()),
            amount: asked.total_fee.0,
            subject: asked.body.clone(),
            body: asked.detail.clone(),
            attach: asked.attach.clone(),
            content: content(&self.opened.fields),
            notify_url: Some(asked.notify_url.clone()),
            return_url: None,
            pay_until: asked.time_expire,
            pay_within: None,
        };
        let key = order.key.clone();
        let prepaid = place(self.pretend, order, &self.asked.base).map_err(refused)?;
        if self.asked.rehearsal {
            self.pretend.change(|world, now| world.pay_by_itself(&key, now));
        }
        Ok(asked.encode_reply(&prepaid, self.replier))
    }

    pub(super) fn query(&self) -> Result<HttpResponse, Refusal> {
        let asked = OrderQuery::decode(self.opened)?;
        let trade = find(self.pretend, &asked.key, &self.opened.merchant);
        let trade = trade.ok_or_else(|| Refusal::business("ORDERNOTEXIST", "order not exist"))?;
        Ok(OrderQuery::encode_reply(&told(&trade), self.replier))
    }

    pub(super) fn close(&self) -> Result<HttpResponse, Refusal> {
        let asked = CloseOrder::decode(self.opened)?;
        let key = TradeKey::OutTradeNo(asked.out_trade_no);
        if let Some(trade) = find(self.pretend, &key, &self.opened.merchant) {
            if is_too_early_to_close(self.pretend, &trade) {
                let message = "订单创建后5分钟内不能关单";
                return Err(Refusal::business("TRADE_STATE_ERROR", message));
            }
            match self.pretend.change(|world, now| world.close(&trade.order.key, now)) {
                Some(Closing::Paid) => return Err(Refusal::business("ORDERPAID", "order paid")),
                Some(Closing::OnlyReverse) => {
                    let message = "当前交易不允许进行普通关单（只能撤销）";
                    return Err(Refusal::business("INVALID_REQUEST", message));
                }
                _ => {}
            }
        }
        Ok(CloseOrder::encode_reply(self.opened, self.replier))
    }
}

impl Call<'_> {
    /// Through which door it came.
    pub(super) fn door(&self) -> Api {
        let hmac = self.opened.sign_type == SignType::HmacSha256;
        Api::WechatV2 { hmac, rehearsal: self.asked.rehearsal }
    }
}

/// The answer to a close as captured from production: an empty `sub_mch_id` in direct mode, and no
/// `result_msg`, which later pages have.
pub(super) fn as_captured(
    opened: &Opened,
    key: &Secret<String>,
    mut response: HttpResponse,
) -> HttpResponse {
    let Ok(given) = Fields::parse(&response.body) else { return response };
    if given.text("result_code").is_none() {
        return response;
    }
    let mut fields = Fields::new();
    let kept = given.iter().filter(|(name, _)| !["result_msg", "sign"].contains(name));
    kept.for_each(|(name, text)| fields.set(name, text));
    if opened.merchant.sub_mch_id.is_none() {
        fields.set("sub_mch_id", "");
    }
    fields.set("sign", sign(&fields, key, opened.sign_type));
    response.body = fields.to_xml().into_bytes().into();
    response
}

pub(super) fn refused(refusal: OrderRefusal) -> Refusal {
    match refusal {
        OrderRefusal::Paid => Refusal::business("ORDERPAID", "该订单已支付"),
        OrderRefusal::Closed => Refusal::business("ORDERCLOSED", "该订单已关闭"),
        OrderRefusal::Differs => Refusal::business("INVALID_REQUEST", "201 商户订单号重复"),
    }
}

/// Everything that must be alike when an order is repeated: all but nonce and signature.
pub(super) fn content(fields: &Fields) -> String {
    let kept =
        |(name, text): &(&str, &str)| !["nonce_str", "sign"].contains(name) && !text.is_empty();
    let mut pairs: Vec<(&str, &str)> = fields.iter().filter(kept).collect();
    pairs.sort_unstable();
    digest::sha256_hex(format!("{pairs:?}").as_bytes())
}
