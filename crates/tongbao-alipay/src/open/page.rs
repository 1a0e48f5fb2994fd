//! `alipay.trade.page.pay`: an order that the buyer's browser carries to Alipay, as an address or
//! as a form that sends itself. Alipay, 统一收单下单并支付页面接口.
//!
//! There is no reply to read: nothing exists at Alipay until the buyer acts, and the browser comes
//! back with a return that proves no payment.

use super::envelope::{self, CallContext};
use super::members::{Reader, Writer};
use super::order::Order;
use crate::account::Credentials;
use crate::error::Refusal;
use crate::{Charset, Params};
use tongbao_types::HttpResponse;

/// The method's name.
pub const METHOD: &str = "alipay.trade.page.pay";
/// The only `product_code` of this operation.
pub const PRODUCT_CODE: &str = "FAST_INSTANT_TRADE_PAY";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagePay {
    /// The order, its `product_code` the one above.
    pub order: Order,
    /// `qr_pay_mode`: how the code is shown; `2` or nothing for Alipay's whole page.
    pub qr_pay_mode: Option<String>,
    /// `qrcode_width` for mode `4`.
    pub qrcode_width: Option<String>,
}

/// A form for the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageForm {
    /// Where it is posted to: the gateway with the public parameters.
    pub action: String,
    /// The hidden inputs, not escaped.
    pub fields: Vec<(&'static str, String)>,
}

impl PagePay {
    /// An order with Alipay's whole page.
    pub const fn new(order: Order) -> PagePay {
        PagePay { order, qr_pay_mode: None, qrcode_width: None }
    }

    /// The address at `gateway` (such as `https://openapi.alipay.com/gateway.do`) with everything
    /// in its query, for a redirect.
    pub fn url(&self, credentials: &Credentials, call: &CallContext, gateway: &str) -> String {
        address(&self.params(credentials, call), gateway)
    }

    /// The form at `gateway`, with `biz_content` as its one hidden input.
    pub fn form(&self, credentials: &Credentials, call: &CallContext, gateway: &str) -> PageForm {
        PageForm::new(self.params(credentials, call), gateway)
    }

    /// The gateway's side: from `biz_content`.
    pub fn read(biz_content: &str) -> Result<PagePay, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        let order = Order::read(&biz)?;
        if order.product_code != PRODUCT_CODE {
            return Err(Refusal::ACQ_INVALID_PARAMETER.saying("参数无效：product_code"));
        }
        let [qr_pay_mode, qrcode_width] = ["qr_pay_mode", "qrcode_width"].map(|n| biz.text(n));
        Ok(PagePay { order, qr_pay_mode, qrcode_width })
    }

    fn biz_content(&self) -> String {
        let writer: Writer = self
            .order
            .write()
            .maybe("qr_pay_mode", self.qr_pay_mode.as_deref())
            .maybe("qrcode_width", self.qrcode_width.as_deref());
        writer.to_biz_content()
    }

    fn params(&self, credentials: &Credentials, call: &CallContext) -> Params {
        envelope::sealed_for_browser(credentials, call, METHOD, &self.biz_content())
    }
}

/// The gateway with all parameters in its query.
pub(crate) fn address(params: &Params, gateway: &str) -> String {
    format!("{gateway}?{}", params.to_form())
}

impl PageForm {
    /// `biz_content` goes into the form, the rest into the query.
    pub(super) fn new(mut params: Params, gateway: &str) -> PageForm {
        let biz_content = params.text("biz_content").unwrap_or_default().into_owned();
        params.remove("biz_content");
        let fields = vec![("biz_content", biz_content)];
        PageForm { action: address(&params, gateway), fields }
    }

    /// A document that sends the form by itself, or by its button where scripts are off.
    pub fn to_html(&self) -> String {
        let inputs: String = self
            .fields
            .iter()
            .map(|(name, value)| {
                format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value))
            })
            .collect();
        format!(
            "<!doctype html><meta charset=\"utf-8\"><title>支付宝</title>\
             <form id=\"pay\" method=\"post\" action=\"{}\">{inputs}\
             <noscript><button>前往支付宝</button></noscript></form>\
             <script>document.getElementById(\"pay\").submit()</script>",
            escaped(&self.action)
        )
    }
}

/// The gateway's side: what the browser gets instead of a cashier. Always GBK and status 200, with
/// the code without its `isv.`.
pub fn error_page(refusal: &Refusal) -> HttpResponse {
    let code = refusal.sub_code.trim_start_matches("isv.");
    // The string of a wrong signature has its ampersands escaped already.
    error_page_saying(code, &refusal.sub_msg.replace("&amp;", "&"))
}

/// The page of both gateways.
pub(crate) fn error_page_saying(code: &str, reason: &str) -> HttpResponse {
    let text = format!(
        "<!doctype html><html><head><meta charset=\"GBK\"><title>支付宝</title></head><body>\
         <p>调试错误，请回到请求来源地，重新发起请求。</p>\
         <p>错误代码 {}</p><p>错误原因: {}</p></body></html>",
        escaped(code),
        escaped(reason),
    );
    HttpResponse::new(200, "text/html;charset=GBK", Charset::Gbk.encode(&text))
}

/// For text and for values in double or single quotes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::{Both, GATEWAY, browser, order};
    use tongbao_types::Method;

    fn call() -> PagePay {
        PagePay { qr_pay_mode: Some("2".into()), ..PagePay::new(order(PRODUCT_CODE)) }
    }

    #[test]
    fn the_browser_brings_address_or_form_to_the_gateway() {
        for both in Both::all() {
            let mut context = both.context();
            context.return_url = Some("https://pay.example.com/return?x=1".into());
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
                assert_eq!(back.as_deref(), Some("https://pay.example.com/return?x=1"));
                assert_eq!(PagePay::read(&both.biz_content(&received)), Ok(call()));
            }
        }
    }

    #[test]
    fn nothing_in_an_order_breaks_out_of_the_form() {
        let both = Both::plain();
        let mut call = call();
        call.order.subject = "<script>'\"&".into();
        let html = call.form(&both.merchant, &both.context(), GATEWAY).to_html();
        assert!(html.contains("&lt;script&gt;&#39;\\&quot;&amp;"), "{html}");
        assert_eq!(html.matches("<script>").count(), 1);
        assert!(html.contains("gateway.do?app_id=2021000000000001&amp;charset=utf-8"));
    }

    #[test]
    fn another_product_is_refused() {
        let wrong = PagePay::new(order("QR_CODE_OFFLINE")).biz_content();
        assert_eq!(PagePay::read(&wrong).unwrap_err().sub_code, "ACQ.INVALID_PARAMETER");
    }

    #[test]
    fn errors_are_a_page_in_gbk() {
        let refusal = Refusal::INVALID_SIGNATURE.saying("验签出错 a=1&amp;b=<2>");
        let response = error_page(&refusal);
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some("text/html;charset=GBK"));
        let text = Charset::Gbk.decode(&response.body).unwrap();
        assert!(text.contains("调试错误，请回到请求来源地，重新发起请求。"));
        assert!(text.contains("错误代码 invalid-signature"));
        assert!(text.contains("错误原因: 验签出错 a=1&amp;b=&lt;2&gt;"));
    }
}
