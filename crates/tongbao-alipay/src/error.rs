//! What can be wrong with a call: the gateway refused it ([`GatewayError`]), or the reply cannot be
//! believed ([`ReplyError`]); and the gateway's own words for refusals ([`Refusal`]).
//!
//! Alipay, 公共错误码, and the lists of business errors on the pages of the operations.

use std::borrow::Cow;

/// What a reply says that can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// Code 10000 (or 10003, where the operation has it): the call was carried out. What became of
    /// the trade stands in `T`.
    Done(T),
    /// The gateway or the business behind it said no, or that it does not know
    /// ([`GatewayError::is_unknown`]).
    Refused(GatewayError),
}

impl<T> Answer<T> {
    /// Reads on in what was done.
    pub(crate) fn then<U>(
        self,
        read: impl FnOnce(T) -> Result<U, ReplyError>,
    ) -> Result<Answer<U>, ReplyError> {
        match self {
            Answer::Done(value) => read(value).map(Answer::Done),
            Answer::Refused(error) => Ok(Answer::Refused(error)),
        }
    }
}

/// A reply with another code than 10000.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Alipay refused: {code} {msg}, {sub_code} {sub_msg}")]
pub struct GatewayError {
    /// `code`, such as `40004`.
    pub code: String,
    /// `msg`, such as `Business Failed`.
    pub msg: String,
    /// `sub_code`, such as `ACQ.TRADE_NOT_EXIST`; empty if the reply has none.
    pub sub_code: String,
    /// `sub_msg`, mostly Chinese; empty if the reply has none.
    pub sub_msg: String,
    /// Whether the reply was signed. An unsigned one speaks of the request alone.
    pub signed: bool,
}

impl GatewayError {
    /// Whether the error bears this name. The prefix (`ACQ.`, `AQC.`, `isv.`, `isp.`, `aop.`) and
    /// the case do not count, since Alipay's own pages disagree about both.
    pub fn is(&self, name: &str) -> bool {
        bare(&self.sub_code).eq_ignore_ascii_case(bare(name))
    }

    /// Whether the outcome is not known: the call may have been carried out. Ask for the truth, or
    /// repeat the same call; never treat it as failed.
    pub fn is_unknown(&self) -> bool {
        let names = ["SYSTEM_ERROR", "unknow-error", "unknown-error"];
        self.code == "20000" || names.iter().any(|name| self.is(name))
    }

    /// Whether the call was not carried out because there were too many; repeat it later.
    pub fn is_limited(&self) -> bool {
        let names =
            ["app-call-limited", "method-call-limited", "SYSTEM_RATE_LIMIT", "USER_RATE_LIMIT"];
        self.code == "40005" || names.iter().any(|name| self.is(name))
    }
}

/// Which rule a reply breaks. What became of the call is then unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The gateway answers 200 always; something else answered.
    #[error("HTTP status {0} came instead of Alipay's answer")]
    HttpStatus(u16),
    /// The body is not one JSON object in UTF-8.
    #[error("the reply is not JSON")]
    NotJson,
    /// The body is not the XML of the old gateway.
    #[error("the reply is not XML as Alipay sends it")]
    NotXml,
    /// A member came twice, so that the signature could be over another than the one read.
    #[error("the reply has the member {0} twice")]
    DuplicateMember(String),
    /// The reply answers another method.
    #[error("the reply has no member {0}")]
    WrongRoot(String),
    /// A fact about a trade without a signature.
    #[error("the reply is not signed")]
    SignatureMissing,
    /// The signature is not over these bytes, or not by the key that is believed.
    #[error("the signature of the reply does not fit: is the key really 支付宝公钥 of this app?")]
    SignatureMismatch,
    /// Signed more than five minutes from now; only v3's replies say when.
    #[error("the reply was signed more than 5 minutes from now: is this machine's clock right?")]
    Stale,
    /// `alipay_cert_sn` names a certificate that is not known; it can be downloaded.
    #[error("the reply is signed with the certificate {sn}, which is not known here")]
    CertificateUnknown {
        /// The serial.
        sn: String,
    },
    /// Encrypted, but no key is configured, or another one.
    #[error("the reply is encrypted and cannot be decrypted with the configured AES key")]
    Undecryptable,
    /// A member is missing or has a form that it must not have.
    #[error("the reply's member {0} is missing or malformed")]
    Malformed(&'static str),
    /// The reply is about another order than the one asked about.
    #[error("the reply is about another order")]
    OtherOrder,
    /// A downloaded certificate does not lead to a configured root, or is not the one asked for.
    #[error("the downloaded certificate does not lead to a root of alipayRootCert, or has expired")]
    CertificateUntrusted,
}

/// The gateway's words when it refuses, for the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `code`.
    pub code: &'static str,
    /// `sub_code`.
    pub sub_code: &'static str,
    /// `sub_msg`.
    pub sub_msg: Cow<'static, str>,
}

impl Refusal {
    /// The English words that belong to the code.
    pub fn msg(&self) -> &'static str {
        msg(self.code)
    }

    /// The same refusal with other words for people.
    pub fn saying(mut self, sub_msg: impl Into<Cow<'static, str>>) -> Refusal {
        self.sub_msg = sub_msg.into();
        self
    }
}

/// The English words that belong to a code.
pub(crate) fn msg(code: &str) -> &'static str {
    match code {
        "10000" => "Success",
        "10003" => "order success pay inprocess",
        "20000" => "Service Currently Unavailable",
        "20001" => "Insufficient Token Permissions",
        "40001" => "Missing Required Arguments",
        "40002" => "Invalid Arguments",
        "40003" => "Insufficient Conditions",
        "40005" => "Call Limited",
        "40006" => "Insufficient Permissions",
        _ => "Business Failed",
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $code:literal $sub_code:literal $sub_msg:literal,)*) => {
        impl Refusal {
            $($(#[$doc])* pub const $name: Refusal = Refusal {
                code: $code,
                sub_code: $sub_code,
                sub_msg: Cow::Borrowed($sub_msg),
            };)*

            /// All of them.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$name,)*];
        }
    };
}

refusals! {
    /// The business behind the gateway does not answer; the outcome is unknown.
    UNAVAILABLE "20000" "isp.unknow-error" "服务暂不可用（业务系统不可用）",
    /// The gateway itself does not work; the outcome is unknown.
    GATEWAY_UNAVAILABLE "20000" "aop.unknow-error" "服务暂不可用（网关自身的未知错误）",
    /// No `method`.
    MISSING_METHOD "40001" "isv.missing-method" "缺少方法名参数",
    /// No `sign`.
    MISSING_SIGNATURE "40001" "isv.missing-signature" "缺少签名参数",
    /// No `sign_type`.
    MISSING_SIGNATURE_TYPE "40001" "isv.missing-signature-type" "缺少签名类型参数",
    /// The app has no key at the gateway.
    MISSING_SIGNATURE_KEY "40001" "isv.missing-signature-key" "缺少签名配置",
    /// No `app_id`.
    MISSING_APP_ID "40001" "isv.missing-app-id" "缺少appId参数",
    /// No `timestamp`.
    MISSING_TIMESTAMP "40001" "isv.missing-timestamp" "缺少时间戳参数",
    /// No `version`.
    MISSING_VERSION "40001" "isv.missing-version" "缺少版本参数",
    /// No `app_cert_sn` from an app in certificate mode.
    MISSING_APP_CERT_SN "40001" "isv.missing-app-cert-sn" "缺少应用公钥证书序列号",
    /// No `alipay_root_cert_sn` from an app in certificate mode.
    MISSING_ROOT_CERT_SN "40001" "isv.missing-alipay-root-cert-sn" "缺少支付宝根证书序列号",
    /// Ciphertext, but no `encrypt_type`.
    MISSING_ENCRYPT_TYPE "40001" "isv.decryption-error-missing-encrypt-type" "解密出错, 未指定加密算法",
    /// A parameter is wrong.
    INVALID_PARAMETER "40002" "isv.invalid-parameter" "参数无效",
    /// No such method.
    INVALID_METHOD "40002" "isv.invalid-method" "不存在的方法名",
    /// `format` is not JSON.
    INVALID_FORMAT "40002" "isv.invalid-format" "无效的数据格式",
    /// `sign_type` is none that exists.
    INVALID_SIGNATURE_TYPE "40002" "isv.invalid-signature-type" "无效的签名类型",
    /// The signature does not fit; [`crate::open::gateway`] adds the string that was checked.
    INVALID_SIGNATURE "40002" "isv.invalid-signature" "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配，网关生成的验签字符串为：",
    /// `encrypt_type` is not AES.
    INVALID_ENCRYPT_TYPE "40002" "isv.invalid-encrypt-type" "无效的加密类型",
    /// The app has no AES key.
    INVALID_ENCRYPT "40002" "isv.invalid-encrypt" "加解密异常",
    /// No such app.
    INVALID_APP_ID "40002" "isv.invalid-app-id" "无效的AppID参数",
    /// `timestamp` is not in its form.
    INVALID_TIMESTAMP "40002" "isv.invalid-timestamp" "非法的时间戳参数",
    /// `charset` is neither GBK nor UTF-8.
    INVALID_CHARSET "40002" "isv.invalid-charset" "字符集错误，仅支持GBK和UTF-8",
    /// `biz_content` is not a JSON object.
    ILLEGAL_JSON "40002" "isv.illegal-json" "json格式不合法",
    /// The app's certificate has expired.
    APP_CERT_EXPIRED "40002" "isv.app-cert-expired" "应用公钥证书已过期",
    /// The gateway has no key of the app for this kind of signature.
    MISSING_SIGNATURE_CONFIG "40003" "isv.missing-signature-config" "验签出错，未配置对应签名算法的公钥或者证书",
    /// The ciphertext cannot be decrypted.
    DECRYPTION_UNKNOWN "40003" "isv.decryption-error-unknown" "解密出错, 未知错误",
    /// Too many calls.
    APP_CALL_LIMITED "40005" "isv.app-call-limited" "应用调用次数超限",
    /// The app may not use the operation.
    INSUFFICIENT_ISV_PERMISSIONS "40006" "isv.insufficient-isv-permissions" "ISV权限不足",
    /// The business failed in a way that leaves the outcome unknown.
    SYSTEM_ERROR "40004" "ACQ.SYSTEM_ERROR" "系统错误",
    /// A business parameter is missing or wrong.
    ACQ_INVALID_PARAMETER "40004" "ACQ.INVALID_PARAMETER" "参数无效",
    /// The contract does not cover the operation.
    ACCESS_FORBIDDEN "40004" "ACQ.ACCESS_FORBIDDEN" "无权限使用接口",
    /// No such trade, or the buyer has not come yet.
    TRADE_NOT_EXIST "40004" "ACQ.TRADE_NOT_EXIST" "交易不存在",
    /// Ordering what is paid.
    TRADE_HAS_SUCCESS "40004" "ACQ.TRADE_HAS_SUCCESS" "交易已被支付",
    /// Ordering or refunding what is closed.
    TRADE_HAS_CLOSE "40004" "ACQ.TRADE_HAS_CLOSE" "交易已经关闭",
    /// The trade's state does not permit it.
    TRADE_STATUS_ERROR "40004" "ACQ.TRADE_STATUS_ERROR" "交易状态不合法",
    /// The trade's state does not permit it, in the other wording.
    REASON_TRADE_STATUS_INVALID "40004" "ACQ.REASON_TRADE_STATUS_INVALID" "交易状态异常",
    /// The trade is final.
    TRADE_HAS_FINISHED "40004" "ACQ.TRADE_HAS_FINISHED" "交易已完结",
    /// The same number with another content.
    CONTEXT_INCONSISTENT "40004" "ACQ.CONTEXT_INCONSISTENT" "交易信息被篡改",
    /// Another buyer holds the trade.
    TRADE_BUYER_NOT_MATCH "40004" "ACQ.TRADE_BUYER_NOT_MATCH" "交易买家不匹配",
    /// The amount is outside the limits.
    TOTAL_FEE_EXCEED "40004" "ACQ.TOTAL_FEE_EXCEED" "订单总金额超过限额",
    /// A code was issued for this number already.
    APPLY_PC_MERCHANT_CODE_ERROR "40004" "ACQ.APPLY_PC_MERCHANT_CODE_ERROR" "申请二维码失败",
    /// The time to pay is over before it begins.
    NOW_TIME_AFTER_EXPIRE_TIME "40004" "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR" "订单已超过有效期",
    /// Money may not go to this `seller_id`.
    INVALID_RECEIVE_ACCOUNT "40004" "ACQ.INVALID_RECEIVE_ACCOUNT" "收款账户不合法",
    /// The trade cannot be cancelled.
    CANCEL_NOT_ALLOWED "40004" "ACQ.CANCEL_NOT_ALLOWED" "不允许撤销",
    /// It is too late to cancel.
    TRADE_CANCEL_TIME_OUT "40004" "ACQ.TRADE_CANCEL_TIME_OUT" "超过撤销时间范围",
    /// The payment code is wrong, used or too old.
    PAYMENT_AUTH_CODE_INVALID "40004" "ACQ.PAYMENT_AUTH_CODE_INVALID" "付款码无效",
    /// The buyer has not enough money.
    BUYER_BALANCE_NOT_ENOUGH "40004" "ACQ.BUYER_BALANCE_NOT_ENOUGH" "买家余额不足",
    /// The buyer's account may not pay.
    BUYER_ENABLE_STATUS_FORBID "40004" "ACQ.BUYER_ENABLE_STATUS_FORBID" "买家状态非法",
    /// Buyer and seller are the same.
    BUYER_SELLER_EQUAL "40004" "ACQ.BUYER_SELLER_EQUAL" "买卖家不能相同",
    /// The payment failed.
    PAYMENT_FAIL "40004" "ACQ.PAYMENT_FAIL" "支付失败",
    /// Alipay's risk control refused the payment.
    PAYMENT_REQUEST_HAS_RISK "40004" "ACQ.PAYMENT_REQUEST_HAS_RISK" "支付有风险",
    /// A part of a trade is to be refunded without a number of the refund, or too much.
    REFUND_AMT_NOT_EQUAL_TOTAL "40004" "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL" "撤销或退款金额与订单金额不一致",
    /// The sum of the refunds would exceed the trade.
    REASON_TRADE_REFUND_FEE_ERR "40004" "ACQ.REASON_TRADE_REFUND_FEE_ERR" "退款金额无效",
    /// The number of a refund again, with another amount.
    DISCORDANT_REPEAT_REQUEST "40004" "ACQ.DISCORDANT_REPEAT_REQUEST" "不一致的重复请求",
    /// The trade's product has no refunds.
    TRADE_NOT_ALLOW_REFUND "40004" "ACQ.TRADE_NOT_ALLOW_REFUND" "当前交易不允许退款",
    /// There was nothing to write into the bill.
    NO_BILL_DATA "40004" "NO_BILL_DATA" "无账单数据",
    /// There is no such bill, or not yet.
    BILL_NOT_EXIST "40004" "BILL_NOT_EXIST" "账单不存在",
    /// The merchant was not there yet.
    BILL_DATE_BEFORE_REGISTRATION "40004" "BILL_DATE_BEFORE_REGISTRATION" "账单日期早于注册日期",
    /// No bill of this type.
    TYPE_NOT_SUPPORTED "40004" "TYPE_NOT_SUPPORTED" "不支持的账单类型",
    /// Too many ask for bills.
    SYSTEM_RATE_LIMIT "40004" "SYSTEM_RATE_LIMIT" "系统限流",
    /// This merchant asks for bills too often.
    USER_RATE_LIMIT "40004" "USER_RATE_LIMIT" "用户限流",
    /// A parameter of the bill is wrong; the spelling is Alipay's.
    INVAILID_ARGUMENTS "40004" "INVAILID_ARGUMENTS" "入参不合法",
    /// The merchant's balance does not cover it.
    SELLER_BALANCE_NOT_ENOUGH "40004" "ACQ.SELLER_BALANCE_NOT_ENOUGH" "卖家余额不足",
}

fn bare(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, bare)| bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, sub_code: &str) -> GatewayError {
        let [msg, sub_msg] = [String::new(), String::new()];
        GatewayError { code: code.into(), msg, sub_code: sub_code.into(), sub_msg, signed: true }
    }

    #[test]
    fn what_is_unknown_is_told_whatever_the_spelling() {
        for (code, sub_code) in [
            ("20000", "isp.unknow-error"),
            ("20000", ""),
            ("40004", "ACQ.SYSTEM_ERROR"),
            ("40004", "AQC.SYSTEM_ERROR"),
            ("40004", "SYSTEM_ERROR"),
            ("40004", "aop.unknow-error"),
            ("40004", "aop.unknown-error"),
        ] {
            assert!(error(code, sub_code).is_unknown(), "{code} {sub_code}");
        }
        for (code, sub_code) in [
            ("40004", "ACQ.TRADE_NOT_EXIST"),
            ("40002", "isv.invalid-signature"),
            ("40004", "ACQ.SYSTEM_ERRORS"),
            ("40005", "isv.app-call-limited"),
        ] {
            assert!(!error(code, sub_code).is_unknown(), "{code} {sub_code}");
        }
    }

    #[test]
    fn names_compare_without_their_prefix() {
        assert!(error("40004", "ACQ.TRADE_NOT_EXIST").is("TRADE_NOT_EXIST"));
        assert!(error("40004", "TRADE_NOT_EXIST").is("ACQ.TRADE_NOT_EXIST"));
        assert!(!error("40004", "ACQ.TRADE_NOT_EXIST").is("NOT_EXIST"));
        assert!(!error("40004", "").is("TRADE_NOT_EXIST"));
        assert!(error("40005", "x").is_limited());
    }

    #[test]
    fn every_refusal_has_its_code_and_its_words() {
        for refusal in Refusal::ALL {
            assert!(!refusal.sub_msg.is_empty());
            // Those of the bills have no prefix.
            let business = !["isv.", "isp.", "aop."].contains(&&refusal.sub_code[..4]);
            assert_eq!(business, refusal.code == "40004", "{}", refusal.sub_code);
            assert_eq!(refusal.msg() == "Business Failed", business, "{}", refusal.sub_code);
        }
    }
}
