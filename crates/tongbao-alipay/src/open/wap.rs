//! `alipay.trade.wap.pay`: an order that a phone's browser carries to Alipay, as an address or as a
//! form that sends itself. Alipay, 手机网站支付接口.
//!
//! Like [`super::page`], it has no reply: nothing exists at Alipay until the buyer reaches the
//! cashier. On iOS the browser does not come back after the buyer paid in the app.

use super::envelope::{self, CallContext};
use super::members::Reader;
use super::order::{Order, wrong};
use super::page::{PageForm, address};
use crate::Params;
use crate::account::Credentials;
use crate::error::Refusal;

/// The method's name.
pub const METHOD: &str = "alipay.trade.wap.pay";
/// The `product_code` of this operation.
pub const PRODUCT_CODE: &str = "QUICK_WAP_WAY";
/// What one library writes instead; the gateway takes both.
const OTHER_PRODUCT_CODE: &str = "QUICK_WAP_PAY";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WapPay {
    /// The order, its `product_code` the one above.
    pub order: Order,
    /// `quit_url`: where the buyer lands after giving up, at most 400 characters.
    pub quit_url: Option<String>,
}

impl WapPay {
    /// The address at `gateway` (such as `https://openapi.alipay.com/gateway.do`) with everything
    /// in its query, for a redirect.
    pub fn url(&self, credentials: &Credentials, call: &CallContext, gateway: &str) -> String {
        address(&self.params(credentials, call), gateway)
    }

    /// The form at `gateway`, with `biz_content` as its one hidden input.
    pub fn form(&self, credentials: &Credentials, call: &CallContext, gateway: &str) -> PageForm {
        PageForm::new(self.params(credentials, call), gateway)
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<WapPay, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        let order = Order::read(&biz)?;
        if ![PRODUCT_CODE, OTHER_PRODUCT_CODE].contains(&order.product_code.as_str()) {
            return Err(wrong("product_code"));
        }
        let quit_url = biz.text("quit_url");
        if quit_url.as_ref().is_some_and(|url| url.chars().count() > 400) {
            return Err(wrong("quit_url"));
        }
        Ok(WapPay { order, quit_url })
    }

    fn params(&self, credentials: &Credentials, call: &CallContext) -> Params {
        envelope::sealed_for_browser(credentials, call, METHOD, &self.biz_content())
    }

    fn biz_content(&self) -> String {
        self.order.write().maybe("quit_url", self.quit_url.as_deref()).to_biz_content()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Charset;
    use crate::open::testing::{Both, GATEWAY, browser, order};
    use tongbao_types::Method;

    fn call() -> WapPay {
        let quit_url = Some("https://shop.example.com/cart?a=1&b=2".into());
        WapPay { order: order(PRODUCT_CODE), quit_url }
    }

    #[test]
    fn the_browser_brings_address_or_form_to_the_gateway() {
        for both in Both::all() {
            let mut context = both.context();
            context.return_url = Some("https://pay.example.com/return".into());
            let url = call().url(&both.merchant, &context, GATEWAY);
            let form = call().form(&both.merchant, &context, GATEWAY);
            let mut body = Params::new(Charset::Utf8);
            body.set(form.fields[0].0, &form.fields[0].1);
            for request in [
                browser(Method::Get, &url, ""),
                browser(Method::Post, &form.action, &body.to_form()),
            ] {
                let received = both.receive(&request);
                assert_eq!(received.method().as_deref(), Some(METHOD));
                let back = received.params.text("return_url");
                assert_eq!(back.as_deref(), Some("https://pay.example.com/return"));
                assert_eq!(received.is_encrypted(), both.content_key.is_some());
                assert_eq!(WapPay::read(&both.biz_content(&received)), Ok(call()));
            }
        }
    }

    #[test]
    fn the_other_spelling_of_the_product_is_taken_and_no_other_product() {
        let read =
            |code: &str| WapPay::read(&WapPay { order: order(code), quit_url: None }.biz_content());
        assert!(read("QUICK_WAP_PAY").is_ok());
        assert_eq!(read("FAST_INSTANT_TRADE_PAY"), Err(wrong("product_code")));
        let quit_url = Some("x".repeat(401));
        let long = WapPay { quit_url, ..call() };
        assert_eq!(WapPay::read(&long.biz_content()), Err(wrong("quit_url")));
    }
}
