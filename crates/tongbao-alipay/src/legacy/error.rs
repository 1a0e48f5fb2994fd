//! The old gateway's words when it refuses. A buyer reads them on a page; the services between
//! servers have them in their XML.

use crate::open::page::error_page_saying;
use tongbao_types::HttpResponse;

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The code, such as `ILLEGAL_SIGN`.
    pub code: &'static str,
    /// What it means, for the page.
    pub words: &'static str,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $words:literal,)*) => {
        impl Refusal {
            $($(#[$doc])* pub const $name: Refusal =
                Refusal { code: stringify!($name), words: $words };)*

            /// All of them.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$name,)*];
        }
    };
}

refusals! {
    /// The signature does not fit.
    ILLEGAL_SIGN "签名验证出错",
    /// No such partner.
    ILLEGAL_PARTNER "合作伙伴ID不正确",
    /// No such service.
    ILLEGAL_SERVICE "服务名不正确",
    /// `sign_type` is none that the partner has.
    ILLEGAL_SIGN_TYPE "签名类型不正确",
    /// A parameter is missing or wrong.
    ILLEGAL_ARGUMENT "参数不正确",
    /// `_input_charset` is none that exists.
    ILLEGAL_CHARSET "字符集不合法",
    /// `payment_type` is not 1.
    ILLEGAL_PAYMENT_TYPE "支付类型不正确",
    /// The amount, the price or the quantity is not in its form.
    ILLEGAL_FEE_PARAM "金额参数不正确",
    /// The contract does not have the service.
    ILLEGAL_EXTERFACE "接口配置不正确",
    /// The contract does not permit it.
    HAS_NO_PRIVILEGE "没有权限访问该服务",
    /// A parameter is not in its form, such as a third decimal of an amount.
    INVALID_PARAMETER "参数无效",
    /// The amount is above the limit.
    TOTAL_FEE_OUT_OF_RANGE "交易总金额超出限额",
    /// The amount is nothing or less.
    TOTAL_FEE_LESSEQUAL_ZERO "交易总金额小于等于0",
    /// No such seller.
    SELLER_NOT_EXIST "卖家不存在",
    /// Buyer and seller are the same.
    BUYER_SELLER_EQUAL "买家和卖家不能是同一个账号",
    /// The same number with another content.
    TRADE_DATA_MATCH_ERROR "交易信息不匹配",
    /// The trade is paid or closed.
    TRADE_NOT_ALLOWED_PAY "交易不允许支付",
    /// The number is in use.
    OUT_TRADE_NO_EXIST "外部交易号已存在",
    /// The contract does not have `it_b_pay`.
    SELF_TIMEOUT_NOT_SUPPORT "不支持自定义超时",
    /// Of the trade query: no such trade.
    TRADE_NOT_EXIST "交易不存在",
    /// The gateway failed; the outcome is unknown.
    SYSTEM_ERROR "系统错误",
}

/// The gateway's side: what the browser gets instead of a cashier, in GBK and with status 200.
pub fn error_page(refusal: &Refusal) -> HttpResponse {
    error_page_saying(refusal.code, refusal.words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Charset;

    #[test]
    fn errors_are_a_page_in_gbk() {
        for refusal in Refusal::ALL {
            let response = error_page(refusal);
            assert_eq!(response.header("content-type"), Some("text/html;charset=GBK"));
            let text = Charset::Gbk.decode(&response.body).unwrap();
            assert!(text.contains("调试错误，请回到请求来源地，重新发起请求。"));
            assert!(text.contains(&format!("错误代码 {}", refusal.code)));
            assert!(text.contains(refusal.words));
        }
    }
}
