//! Order, query, close.

use super::{Call, not_exist};
use crate::order::{Api, Key, Order as Placed};
use crate::rules::CloseUnknown;
use crate::trade::Closing;
use crate::wechat::{find, is_too_early_to_close, merchant_of, party, place, product, told};
use crate::world::OrderRefusal;
use tongbao_crypt::digest;
use tongbao_types::{HttpResponse, Provider};
use tongbao_wechat::TradeKey;
use tongbao_wechat::v3::{CloseOrder, Order, OrderQuery, Refusal};

impl Call<'_> {
    pub(super) fn order(&self) -> Result<HttpResponse, Refusal> {
        let (asked, app_id) = Order::decode(self.opened)?;
        self.check_app(&app_id)?;
        let merchant = &self.opened.merchant;
        let content = format!("{asked:?} {:?} {:?}", merchant.sub_mch_id, merchant.sub_app_id);
        let order = Placed {
            key: Key::new(Provider::Wechat, asked.out_trade_no),
            api: Api::WechatV3,
            product: product(asked.trade_type),
            app_id,
            party: party(self.pretend, merchant).unwrap_or_default(),
            payer: asked.sub_openid.or(asked.openid),
            amount: asked.total.0,
            subject: asked.description,
            body: None,
            attach: asked.attach,
            content: digest::sha256_hex(content.as_bytes()),
            notify_url: Some(asked.notify_url),
            return_url: None,
            pay_until: asked.time_expire,
            pay_within: None,
        };
        let prepaid = place(self.pretend, order, self.base).map_err(refused)?;
        Ok(Order::encode_reply(&prepaid, self.replier))
    }

    pub(super) fn query(&self) -> Result<HttpResponse, Refusal> {
        let asked = OrderQuery::decode(self.opened)?;
        let trade = find(self.pretend, &asked.key, &self.opened.merchant).ok_or_else(not_exist)?;
        let merchant = merchant_of(self.pretend, &trade);
        Ok(OrderQuery::encode_reply(&told(&trade), &merchant, self.replier))
    }

    pub(super) fn close(&self) -> Result<HttpResponse, Refusal> {
        let key = TradeKey::OutTradeNo(CloseOrder::decode(self.opened)?.out_trade_no);
        let Some(trade) = find(self.pretend, &key, &self.opened.merchant) else {
            let unknown = self.pretend.world().rules().wechat_v3_close_unknown;
            return match unknown {
                CloseUnknown::NotExist => Err(not_exist()),
                CloseUnknown::Done => Ok(CloseOrder::encode_reply(self.replier)),
            };
        };
        if is_too_early_to_close(self.pretend, &trade) {
            return Err(Refusal::new(400, "TRADE_STATE_ERROR", "订单创建后5分钟内不能关单"));
        }
        match self.pretend.change(|world, now| world.close(&trade.order.key, now)) {
            Some(Closing::Paid) => Err(Refusal::new(400, "ORDERPAID", "该订单已支付")),
            Some(Closing::OnlyReverse) => {
                let message = "当前交易不允许进行普通关单（只能撤销）";
                Err(Refusal::new(400, "INVALID_REQUEST", message))
            }
            _ => Ok(CloseOrder::encode_reply(self.replier)),
        }
    }

    /// The app must be this merchant's.
    pub(super) fn check_app(&self, app_id: &str) -> Result<(), Refusal> {
        if app_id == self.pretend.credentials.wechat.app_id {
            return Ok(());
        }
        let message = "appid和mchid不匹配，请检查后再试";
        Err(Refusal::new(400, "APPID_MCHID_NOT_MATCH", message))
    }
}

pub(super) fn refused(refusal: OrderRefusal) -> Refusal {
    match refusal {
        OrderRefusal::Paid => Refusal::new(400, "ORDERPAID", "该订单已支付"),
        OrderRefusal::Closed => Refusal::new(400, "ORDER_CLOSED", "该订单已关闭"),
        OrderRefusal::Differs => {
            Refusal::new(400, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致")
        }
    }
}
