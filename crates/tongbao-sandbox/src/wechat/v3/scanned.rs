//! The payer's code is scanned: code payment and reverse.

use super::orders::refused;
use super::{Call, not_exist};
use crate::order::{Api, Key, Order, Product};
use crate::trade::Reversing;
use crate::wechat::{find, merchant_of, party, told};
use crate::world::{AuthCodeRefusal, ChargeRefusal};
use tongbao_crypt::digest;
use tongbao_types::{HttpResponse, Provider};
use tongbao_wechat::TradeKey;
use tongbao_wechat::v3::{CodePayment, Refusal, ReverseOrder};

impl Call<'_> {
    pub(super) fn code_payment(&self) -> Result<HttpResponse, Refusal> {
        let asked = CodePayment::decode(self.opened)?;
        let merchant = &self.opened.merchant;
        self.check_app(&merchant.app_id)?;
        let code = asked.auth_code.expose();
        let content = format!("{asked:?} {code} {:?}", merchant.sub_mch_id);
        let order = Order {
            key: Key::new(Provider::Wechat, asked.out_trade_no.as_str()),
            api: Api::WechatV3,
            product: Product::WechatMicropay,
            app_id: merchant.app_id.clone(),
            party: party(self.pretend, merchant).unwrap_or_default(),
            payer: None,
            amount: asked.total.0,
            subject: asked.description.clone(),
            body: None,
            attach: asked.attach.clone(),
            content: digest::sha256_hex(content.as_bytes()),
            notify_url: None,
            return_url: None,
            pay_until: None,
            pay_within: None,
        };
        let charged = self.pretend.change(|world, now| world.charge(order, code, now));
        let trade = charged.map_err(not_charged)?;
        let merchant = merchant_of(self.pretend, &trade);
        Ok(CodePayment::encode_reply(&told(&trade), &merchant, self.replier))
    }

    pub(super) fn reverse(&self) -> Result<HttpResponse, Refusal> {
        let asked = ReverseOrder::decode(self.opened)?;
        let key = TradeKey::OutTradeNo(asked.out_trade_no.clone());
        let trade = find(self.pretend, &key, &self.opened.merchant).ok_or_else(not_exist)?;
        let done = self.pretend.change(|world, now| world.reverse(&trade.order.key, now));
        match done {
            Some(Reversing::Paying) => {
                Err(Refusal::new(400, "USERPAYING", "正在支付中不能发起撤销"))
            }
            Some(Reversing::Expired) => {
                Err(Refusal::new(400, "REVERSE_EXPIRE", "订单已超过可撤销的最大期限"))
            }
            Some(Reversing::NotScanned) => {
                Err(Refusal::new(403, "TRADE_ERROR", "当前订单不是付款码支付，不能撤销"))
            }
            Some(Reversing::Closed | Reversing::Returned | Reversing::AlreadyReversed) | None => {
                Ok(asked.encode_reply(&merchant_of(self.pretend, &trade), self.replier))
            }
        }
    }
}

fn not_charged(refusal: ChargeRefusal) -> Refusal {
    match refusal {
        ChargeRefusal::Order(refusal) => refused(refusal),
        ChargeRefusal::Code(AuthCodeRefusal::Expired) => {
            Refusal::new(400, "AUTHCODEEXPIRE", "付款码已过期，请刷新后重试")
        }
        ChargeRefusal::Code(AuthCodeRefusal::Used | AuthCodeRefusal::Malformed) => {
            Refusal::new(400, "AUTH_CODE_INVALID", "付款码无效，请重新扫码")
        }
    }
}
