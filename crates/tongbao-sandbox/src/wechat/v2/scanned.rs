//! The payer's code is scanned: micropay and reverse.

use super::Call;
use super::orders::{content, refused};
use crate::order::{Key, Order, Product};
use crate::trade::{Reversing, State};
use crate::wechat::{find, paid, party, told};
use crate::world::{AuthCodeRefusal, ChargeRefusal, OrderRefusal};
use tongbao_types::{HttpResponse, Provider};
use tongbao_wechat::TradeKey;
use tongbao_wechat::v2::{Micropay, Recall, Refusal, ReverseOrder};

impl Call<'_> {
    pub(super) fn micropay(&self) -> Result<HttpResponse, Refusal> {
        let asked = Micropay::decode(self.opened)?;
        let order = Order {
            key: Key::new(Provider::Wechat, asked.out_trade_no.as_str()),
            api: self.door(),
            product: Product::WechatMicropay,
            app_id: self.opened.merchant.app_id.clone(),
            party: party(self.pretend, &self.opened.merchant).unwrap_or_default(),
            payer: None,
            amount: asked.total_fee.0,
            subject: asked.body.clone(),
            body: asked.detail.clone(),
            attach: asked.attach.clone(),
            content: content(&self.opened.fields),
            notify_url: None,
            return_url: None,
            pay_until: asked.time_expire,
            pay_within: None,
        };
        let key = order.key.clone();
        let code = asked.auth_code.expose();
        let charged = self.pretend.change(|world, now| world.charge(order, code, now));
        let trade = charged.map_err(|refusal| self.not_charged(refusal, &key))?;
        match paid(&trade).filter(|_| trade.state == State::Paid) {
            Some(paid) => Ok(Micropay::encode_reply(&told(&trade), &paid, self.replier)),
            None => Err(Refusal::business("USERPAYING", "需要用户输入支付密码")),
        }
    }

    pub(super) fn reverse(&self) -> Result<HttpResponse, Refusal> {
        let asked = ReverseOrder::decode(self.opened)?;
        let found = find(self.pretend, &asked.key, &self.opened.merchant);
        let reversing = found.and_then(|trade| {
            self.pretend.change(|world, now| world.reverse(&trade.order.key, now))
        });
        let (code, message) = match reversing {
            Some(Reversing::Paying) => ("USERPAYING", "正在支付中不能发起撤销"),
            Some(Reversing::Expired) => ("REVERSE_EXPIRE", "订单已超过可撤销的最大期限"),
            Some(Reversing::NotScanned) => ("TRADE_ERROR", "当前订单不是付款码支付，不能撤销"),
            // Of an unknown order there is nothing to reverse, which is done.
            Some(Reversing::Closed | Reversing::Returned | Reversing::AlreadyReversed) | None => {
                return Ok(ReverseOrder::encode_reply(Recall::Done, self.replier));
            }
        };
        Err(Refusal::business(code, message))
    }

    fn not_charged(&self, refusal: ChargeRefusal, key: &Key) -> Refusal {
        let number = TradeKey::OutTradeNo(key.out_trade_no.clone());
        let known = find(self.pretend, &number, &self.opened.merchant);
        match refusal {
            ChargeRefusal::Order(OrderRefusal::Closed)
                if known.is_some_and(|trade| trade.state == State::Reversed) =>
            {
                Refusal::business("ORDERREVERSED", "该订单已撤销")
            }
            ChargeRefusal::Order(refusal) => refused(refusal),
            ChargeRefusal::Code(AuthCodeRefusal::Expired) => {
                Refusal::business("AUTHCODEEXPIRE", "101 付款码已过期，请刷新后重试")
            }
            ChargeRefusal::Code(AuthCodeRefusal::Used) => {
                Refusal::business("AUTH_CODE_INVALID", "101 每个二维码仅限使用一次，请刷新再试")
            }
            ChargeRefusal::Code(AuthCodeRefusal::Malformed) => {
                Refusal::business("AUTH_CODE_INVALID", "101 付款码无效，请重新扫码")
            }
        }
    }
}
