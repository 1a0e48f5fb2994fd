//! What the providers' error codes mean for a merchant: whether money may have moved, whether to
//! try again, the cause and the fix, in English and Chinese.
//!
//! The source is `docs/reference/errors.md` too. What an answer means for an order or a refund is
//! not decided here but where it is read, with the code's operation at hand.

use tongbao_types::Provider;

/// One or several codes of a provider with the same meaning.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Whose.
    pub provider: Provider,
    /// The codes, without Alipay's `ACQ.`; underscores and case do not count.
    pub codes: &'static [&'static str],
    /// Whether money may have moved when the provider says so.
    pub outcome: Outcome,
    /// Whether to try again.
    pub remedy: Remedy,
    /// Why the provider says so.
    pub cause: Words,
    /// What to do about it.
    pub fix: Words,
}

/// A sentence in both languages.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// English.
    pub en: &'static str,
    /// Chinese.
    pub zh: &'static str,
}

/// Whether money may have moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This request moved nothing.
    Nothing,
    /// It may have; the provider must be asked.
    Unknown,
    /// It moves nothing, but an earlier request may have: the object's state tells.
    Earlier,
}

/// Whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same request once more.
    SameRequest,
    /// Not this request: something must be another.
    Never,
    /// The same request later, once the cause is gone.
    After,
}

/// The entry of a provider's code; Alipay's may be given with or without what stands before the
/// last point.
pub fn find(provider: Provider, code: &str) -> Option<&'static Entry> {
    let wanted = bare(code);
    let has = |entry: &&Entry| {
        entry.provider == provider && entry.codes.iter().any(|known| bare(known) == wanted)
    };
    CATALOGUE.iter().find(has)
}

fn bare(code: &str) -> String {
    let last = code.rsplit('.').next().unwrap_or(code);
    let kept = last.chars().filter(|c| !"_-".contains(*c));
    kept.map(|c| c.to_ascii_uppercase()).collect()
}

macro_rules! entries {
    ($($provider:ident [$($code:literal)*] $outcome:ident $remedy:ident
        $cause:literal | $cause_zh:literal => $fix:literal | $fix_zh:literal;)*) => {
        /// Every entry, by provider and kind of trouble.
        pub const CATALOGUE: &[Entry] = &[$(Entry {
            provider: Provider::$provider,
            codes: &[$($code),*],
            outcome: Outcome::$outcome,
            remedy: Remedy::$remedy,
            cause: Words { en: $cause, zh: $cause_zh },
            fix: Words { en: $fix, zh: $fix_zh },
        },)*];
    };
}

entries! {
    Wechat ["SYSTEMERROR" "BANKERROR" "BIZERR_NEED_RETRY" "SERVICE_UNAVAILABLE"] Unknown SameRequest
        "WeChat or the bank was too slow or broke." | "微信支付或银行系统超时、异常。"
        => "Nothing to do: tongbao asks until it is known. The same request again moves nothing \
            twice."
        | "无需处理：通宝会一直查询到有结果；用相同参数重试不会重复动账。";
    Wechat ["FREQUENCY_LIMITED" "RATELIMIT_EXCEEDED" "RATE_LIMITED" "INVALID_REQ_TOO_MUCH"]
            Unknown After
        "Too many requests of this merchant, or for this order." | "商户或该订单的请求过于频繁。"
        => "Wait a minute; tongbao asks what became of it." | "请等一分钟；通宝会查询其结果。";
    Wechat ["USERPAYING"] Unknown SameRequest
        "The payer is typing the password." | "用户支付中，正在输入密码。"
        => "Wait: tongbao looks every 5 seconds and takes the order back after 45."
        | "请等待：通宝每 5 秒查询一次，45 秒后撤销订单。";
    Wechat ["ORDERPAID"] Earlier Never
        "The order is paid already." | "该订单已支付。"
        => "Read the charge; if it is not this charge's payment, the order_no was used by another \
            system: take another."
        | "请查询该笔收款；若不是本次付款，说明该 order_no 已被其他系统使用，请更换。";
    Wechat ["ORDERCLOSED" "ORDERREVERSED"] Nothing Never
        "The order is closed or was taken back." | "该订单已关闭或已撤销。"
        => "Create a new charge with another order_no." | "请用新的 order_no 重新下单。";
    Wechat ["OUT_TRADE_NO_USED"] Earlier Never
        "The number belongs to an order with other parameters." | "商户订单号重复，且参数不一致。"
        => "Use another order_no; look whether another system shares this merchant number."
        | "请更换 order_no，并检查是否有其他系统共用该商户号。";
    Wechat ["INVALID_REQUEST"] Earlier Never
        "The request does not fit the order or refund, or repeats a number with other parameters."
        | "请求参数与订单或退款单不符，或相同单号的参数不一致。"
        => "Read the message; a refund must fit what is left, a repetition must be the same."
        | "请查看错误描述：退款金额不能超过可退金额，重试须保持参数一致。";
    Wechat ["PARAM_ERROR" "LACK_PARAMS" "XML_FORMAT_ERROR" "REQUIRE_POST_METHOD"
            "POST_DATA_EMPTY" "NOT_UTF8"] Nothing Never
        "A field of the request is missing or wrong." | "请求缺少参数或参数错误。"
        => "Correct the field that the message names." | "请按错误描述修正对应字段。";
    Wechat ["SIGNERROR"] Nothing Never
        "The signature does not fit the merchant's key." | "签名错误，与商户密钥不符。"
        => "Compare the account's key and merchant_serial with the merchant platform."
        | "请核对账户的密钥与证书序列号是否与商户平台一致。";
    Wechat ["NOAUTH" "RULELIMIT"] Nothing After
        "The merchant has not opened this product, or a limit forbids it." | "商户未开通该产品权限，或触发限制。"
        => "Open the product on the merchant platform, then try again." | "请在商户平台开通产品权限后重试。";
    Wechat ["APPID_NOT_EXIST" "MCHID_NOT_EXIST" "MCH_NOT_EXISTS" "APPID_MCHID_NOT_MATCH"] Nothing
            Never
        "app_id and mch_id are wrong, or not bound to one another." | "appid 或商户号有误，或二者未绑定。"
        => "Bind the app to the merchant number (产品中心, AppID账号管理), or correct the account."
        | "请在商户平台「产品中心-AppID账号管理」绑定，或修正账户配置。";
    Wechat ["NOTENOUGH"] Nothing After
        "The payer's card (order) or the merchant's account (refund) has too little money."
        | "付款方余额不足（下单），或商户可用余额不足（退款）。"
        => "Order: another means of payment. Refund: fund the merchant's account, then refund \
            again."
        | "下单：请用户更换支付方式。退款：请为商户账户充值后重新退款。";
    Wechat ["AUTHCODEEXPIRE" "AUTH_CODE_ERROR" "AUTH_CODE_INVALID"] Nothing Never
        "The payment code is wrong, used or too old." | "付款码无效、已使用或已过期。"
        => "Scan again and create a new charge." | "请重新扫码并新建收款。";
    Wechat ["NOTSUPORTCARD" "NOTSUPPORTCARD" "BUYER_MISMATCH" "TRADE_ERROR" "ACCOUNTERROR"]
            Nothing Never
        "The payer or the card cannot pay this." | "付款方或银行卡不支持本次交易。"
        => "Another card or another way of paying." | "请更换银行卡或支付方式。";
    Wechat ["OPENID_MISMATCH" "INVALID_TRANSACTIONID"] Nothing Never
        "The openid or the transaction id belongs to another app or merchant." | "openid 或微信订单号与 \
            appid、商户号不符。"
        => "Take the openid towards the account's own app_id." | "请使用该账户 appid 下的 openid。";
    Wechat ["ORDERNOTEXIST"] Nothing Never
        "WeChat knows no such paid order." | "订单不存在，或尚未支付。"
        => "Nothing to do for a charge; a refund needs a paid order." | "收款无需处理；退款须针对已支付订单。";
    Wechat ["RESOURCE_NOT_EXISTS"] Nothing After
        "WeChat does not find the order or refund (yet)." | "订单或退款单不存在，或暂未同步。"
        => "Within minutes after a payment this passes; tongbao asks again under the same number."
        | "支付后数分钟内可能出现，通宝会用相同单号重试。";
    Wechat ["REFUNDNOTEXIST"] Nothing SameRequest
        "WeChat has no refund under this number." | "退款单不存在。"
        => "Nothing to do: tongbao sends the same refund again." | "无需处理：通宝会用相同退款单号重新提交。";
    Wechat ["REFUND_FEE_MISMATCH"] Earlier Never
        "The refund's number was used with other amounts." | "订单金额或退款金额与之前的请求不一致。"
        => "Use another refund_no; look whether another system shares this merchant number."
        | "请更换 refund_no，并检查是否有其他系统共用该商户号。";
    Wechat ["TRADE_OVERDUE"] Nothing Never
        "The payment is older than a year." | "订单已超过可退款期限（一年）。"
        => "Pay the money back by another way." | "请通过其他方式退款。";
    Wechat ["USER_ACCOUNT_ABNORMAL"] Nothing Never
        "The payer's account is gone." | "用户账户异常或已注销。"
        => "Pay the money back by another way." | "请通过其他方式退款。";
    Wechat ["ERROR"] Earlier Never
        "The order is closed or refunded in full; the message says which." | "订单已关闭或已全额退款，详见错误描述。"
        => "Read the charge and its refunds." | "请查询收款及其退款记录。";
    Wechat ["TRADE_STATE_ERROR"] Nothing After
        "The order's state forbids this now, such as closing within five minutes of ordering."
        | "订单状态不允许该操作，例如下单五分钟内不能关单。"
        => "Nothing to do: tongbao tries again." | "无需处理：通宝会自动重试。";
    Wechat ["REVERSE_EXPIRE"] Nothing Never
        "The order is too old to be taken back." | "订单已超过可撤销期限。"
        => "Refund it." | "请改用退款。";
    Wechat ["NO_BILL_EXIST" "NO_STATEMENT_EXIST" "20002" "20007"] Nothing Never
        "There is no bill of that day." | "当日没有账单。"
        => "Nothing was traded, or the date is wrong." | "当日无交易，或日期有误。";
    Wechat ["BILL_CREATING" "STATEMENT_CREATING"] Nothing After
        "The bill is being made." | "账单生成中。"
        => "Ask again in half an hour; bills are there from 10 o'clock China time."
        | "请半小时后再试；账单一般于次日 10 点后可下载。";
    Wechat ["FAIL"] Nothing Never
        "The message as such was refused: signature, format or a missing field." |
            "通信失败：签名、格式或缺少参数。"
        => "Read the message." | "请查看错误描述。";

    Alipay ["SYSTEM_ERROR" "unknow-error" "20000"] Unknown SameRequest
        "Alipay broke or was too slow." | "支付宝系统异常或超时。"
        => "Nothing to do: tongbao asks until it is known. The same request again moves nothing \
            twice."
        | "无需处理：通宝会一直查询到有结果；用相同参数重试不会重复动账。";
    Alipay ["app-call-limited" "method-call-limited" "SYSTEM_RATE_LIMIT" "USER_RATE_LIMIT"
            "40005"] Nothing After
        "Too many calls of this app." | "应用调用频率超限。"
        => "Wait a minute." | "请稍后重试。";
    Alipay ["TRADE_NOT_EXIST"] Nothing SameRequest
        "Alipay knows no such trade: the payer has not come yet." | "交易不存在：付款方尚未扫码或打开页面。"
        => "Nothing to do while the charge waits." | "等待付款期间无需处理。";
    Alipay ["TRADE_HAS_SUCCESS"] Earlier Never
        "The order is paid already." | "交易已被支付。"
        => "Read the charge; if it is not this charge's payment, take another order_no."
        | "请查询该笔收款；若不是本次付款，请更换 order_no。";
    Alipay ["TRADE_HAS_CLOSE"] Earlier Never
        "The trade is closed: never paid, or refunded in full." | "交易已经关闭：未付款或已全额退款。"
        => "Order under another order_no; for a refund read what was refunded already."
        | "下单请更换 order_no；退款请先查询已退金额。";
    Alipay ["TRADE_HAS_FINISHED"] Nothing Never
        "The trade is final and cannot be refunded any more." | "交易已完结，不可再退款。"
        => "Pay the money back by another way." | "请通过其他方式退款。";
    Alipay ["TRADE_STATUS_ERROR" "REASON_TRADE_STATUS_INVALID" "REASON_ILLEGAL_STATUS"] Nothing
            Never
        "The trade's state forbids this." | "交易状态不合法。"
        => "Read the charge; an unpaid one cannot be refunded, a paid one not closed."
        | "请查询该笔收款：未支付不能退款，已支付不能关闭。";
    Alipay ["CONTEXT_INCONSISTENT" "TRADE_BUYER_NOT_MATCH"] Earlier Never
        "The number belongs to an order with other contents or another payer." | "订单信息不一致，或买家不匹配。"
        => "Use another order_no." | "请更换 order_no。";
    Alipay ["PAYMENT_AUTH_CODE_INVALID"] Nothing Never
        "The payment code is wrong, used or too old." | "付款码无效、已使用或已过期。"
        => "Scan again and create a new charge." | "请重新扫码并新建收款。";
    Alipay ["PAYMENT_REQUEST_HAS_RISK"] Nothing Never
        "Alipay's risk control refused the payment." | "支付有风险，被风控拦截。"
        => "Another way of paying." | "请更换其他付款方式。";
    Alipay ["BUYER_SELLER_EQUAL" "BUYER_ENABLE_STATUS_FORBID" "BUYER_BALANCE_NOT_ENOUGH"
        "BUYER_BANKCARD_BALANCE_NOT_ENOUGH" "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR"
        "BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR" "ERROR_BALANCE_PAYMENT_DISABLE" "PAYMENT_FAIL"
        "MOBILE_PAYMENT_SWITCH_OFF" "NO_PAYMENT_INSTRUMENTS_AVAILABLE" "PULL_MOBILE_CASHIER_FAIL"
        "USER_FACE_PAYMENT_SWITCH_OFF"] Nothing Never
        "The payer or the payer's bank refused." | "付款方或其银行拒绝支付。"
        => "Tell the payer what the message says; pay another way, with a new charge."
        | "请将错误描述告知用户，更换付款方式后新建收款。";
    Alipay ["INVALID_PARAMETER" "TOTAL_FEE_EXCEED" "EXIST_FORBIDDEN_WORD" "SUB_GOODS_SIZE_MAX_COUNT"
        "NOW_TIME_AFTER_EXPIRE_TIME_ERROR" "illegal-json" "missing-method" "missing-signature"
        "missing-signature-type" "missing-app-id" "missing-timestamp" "missing-version"
        "missing-app-cert-sn" "missing-alipay-root-cert-sn"
        "INVAILID_ARGUMENTS" "BILL_DATE_BEFORE_REGISTRATION" "TYPE_NOT_SUPPORTED"
        "invalid-method" "invalid-format" "invalid-timestamp" "invalid-charset" "invalid-encrypt"
        "invalid-encrypt-type" "suspected-attack" "40001" "40002"] Nothing Never
        "A field of the request is missing or wrong." | "请求缺少参数或参数无效。"
        => "Correct the field that the message names." | "请按错误描述修正对应字段。";
    Alipay ["invalid-signature" "invalid-signature-type" "missing-signature-config"
        "missing-signature-key" "app-cert-expired"] Nothing Never
        "The signature does not fit the app's public key at Alipay." | "验签出错：应用公钥或证书与请求签名不符。"
        => "Upload the public key (or certificate) that belongs to app_private_key, and compare \
            app_id."
        | "请在开放平台上传与应用私钥匹配的公钥或证书，并核对 app_id。";
    Alipay ["decryption-error-unknown" "decryption-error-not-valid-encrypt-key"
        "decryption-error-not-valid-encrypt-type" "decryption-error-missing-encrypt-type"]
            Nothing Never
        "The content is encrypted with another key than the app's, or encryption is not switched \
            on."
        | "内容加密密钥不符，或未开通内容加密。"
        => "Compare aes_key with 接口内容加密方式 on the open platform." | "请核对 aes_key 与开放平台「接口内容加密方式」。";
    Alipay ["ACCESS_FORBIDDEN" "insufficient-isv-permissions" "insufficient-user-permissions"
        "self-invoke-forbidden" "forbidden-api" "40006" "CANCEL_NOT_ALLOWED"] Nothing Never
        "The app or the merchant has not signed for this product." | "未签约该产品或无接口权限。"
        => "Sign for the product (产品绑定) and try again." | "请签约并绑定对应产品后重试。";
    Alipay ["invalid-app-id" "PARTNER_ERROR" "invalid-app-state" "not-online-app" "SELLER_NOT_EXIST"
        "INVALID_RECEIVE_ACCOUNT" "SELLER_BEEN_BLOCKED" "MERCHANT_STATUS_NOT_NORMAL"
        "APPLY_PC_MERCHANT_CODE_ERROR" "RISK_MERCHANT_IP_NOT_EXIST" "BEYOND_PAY_RESTRICTION"
        "BEYOND_PER_RECEIPT_RESTRICTION" "ILLEGAL_PARTNER" "ILLEGAL_PARTNER_EXTERFACE"
        "ILLEGAL_SIGN" "ILLEGAL_ARGUMENT" "ILLEGAL_SERVICE"] Nothing Never
        "The app, the seller or the contract is wrong or restricted." | "应用、卖家或签约配置有误或受限。"
        => "Compare the account with the open platform; the message says what is wrong."
        | "请按错误描述核对账户与开放平台配置。";
    Alipay ["SELLER_BALANCE_NOT_ENOUGH" "REFUND_CHARGE_ERROR"] Nothing After
        "The merchant's account has too little money for the refund." | "卖家余额不足，或收费异常。"
        => "Fund the account, then refund again." | "请充值后重新退款。";
    Alipay ["REFUND_AMT_NOT_EQUAL_TOTAL" "REASON_TRADE_REFUND_FEE_ERR" "REFUND_FEE_ERROR"
        "DISCORDANT_REPEAT_REQUEST"] Earlier Never
        "The refund is above what is left, or its number was used with another amount."
        | "退款金额超过可退余额，或相同退款号金额不一致。"
        => "Read the charge's refunds; look whether it was refunded on the open platform too."
        | "请查询该笔收款的退款记录，并检查是否已在支付宝后台退款。";
    Alipay ["REASON_TRADE_BEEN_FREEZEN" "TRADE_NOT_ALLOW_REFUND" "NOT_ALLOW_PARTIAL_REFUND"
        "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND" "BUYER_NOT_EXIST" "BUYER_ERROR"
        "CUSTOMER_VALIDATE_ERROR" "REFUND_ACCOUNT_NOT_EXIST" "CURRENCY_NOT_SUPPORT"
        "USER_NOT_MATCH_ERR" "TRADE_CANCEL_TIME_OUT"] Nothing Never
        "This trade cannot be refunded this way." | "该交易不允许以此方式退款。"
        => "Pay the money back by another way." | "请通过其他方式退款。";
    Alipay ["ALLOC_AMOUNT_VALIDATE_ERROR" "TRADE_SETTLE_ERROR" "REFUNDALLOC_UNAUTH_LIMIT"
        "REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST"] Nothing After
        "The trade was shared (分账), and the shares stand in the way of the refund." |
            "交易已分账，分账状态阻碍退款。"
        => "Return the shares first." | "请先完成分账回退。";
    Alipay ["invalid-auth-token" "auth-token-time-out" "invalid-app-auth-token"
        "app-auth-token-time-out" "invalid-app-auth-token-no-api" "no-product-reg-by-partner"
        "code-invalid" "invalid-token" "20001"] Nothing Never
        "An authorisation token is wrong or too old." | "授权令牌无效或已过期。"
        => "Let the user or merchant authorise again." | "请重新授权。";
    Alipay ["NO_BILL_DATA" "BILL_NOT_EXIST"] Nothing Never
        "There is no bill of that time (yet)." | "当期没有账单，或账单尚未生成。"
        => "Nothing was traded, or it is too early: bills are there from about 9 o'clock China \
            time."
        | "当期无交易，或时间过早：账单一般于次日 9 点后生成。";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_code_stands_twice_and_both_languages_are_there() {
        let mut seen = HashSet::new();
        for entry in CATALOGUE {
            for code in entry.codes {
                assert!(seen.insert((entry.provider, bare(code))), "{code} stands twice");
            }
            for words in [entry.cause, entry.fix] {
                assert!(words.en.ends_with('.'), "{:?}", words.en);
                assert!(words.zh.ends_with('。'), "{:?}", words.zh);
            }
        }
    }

    #[test]
    fn a_code_is_found_in_every_spelling_and_only_at_its_provider() {
        let found = |provider, code| find(provider, code).map(|entry| entry.outcome);
        assert_eq!(found(Provider::Wechat, "SYSTEM_ERROR"), Some(Outcome::Unknown));
        assert_eq!(found(Provider::Wechat, "ORDER_PAID"), Some(Outcome::Earlier));
        assert_eq!(found(Provider::Alipay, "ACQ.SYSTEM_ERROR"), Some(Outcome::Unknown));
        assert_eq!(found(Provider::Alipay, "isp.unknow-error"), Some(Outcome::Unknown));
        assert_eq!(found(Provider::Alipay, "TRADE_NOT_EXIST"), Some(Outcome::Nothing));
        assert_eq!(found(Provider::Wechat, "TRADE_NOT_EXIST"), None);
    }
}
