//! What a refusal means for the call that got it.
//!
//! The same code can be harmless for one call and dear for another, so each kind of call has its
//! own reading. Where the documentation does not know a code, refunds and code payments take the
//! outcome for unknown: asking once more is cheap, moving money twice is not.

use crate::error::{Level, WechatError};

/// What a refused refund (退款) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundRefusal {
    /// It may have been taken. Query it, or repeat it with the same number, never with another.
    Unknown,
    /// Nothing moved, and the same number may be sent again once the cause is gone: the merchant's
    /// balance, keys or permissions, or an order that WeChat does not find yet.
    Again,
    /// Nothing moved, and this number will not move anything.
    Final,
}

/// What a refused code payment (付款码支付) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodePaymentRefusal {
    /// The payer may be typing, or the money may have moved: query, and reverse in the end.
    Unknown,
    /// The number has a payment already: query it.
    NumberUsed,
    /// Nothing was paid. Another try needs a new code and a new number.
    Failed,
}

/// Nothing moved; somebody must do something, then the same refund goes.
const REFUND_AGAIN: [&str; 10] = [
    "NOTENOUGH",
    "NOAUTH",
    "RESOURCE_NOT_EXISTS",
    "APPID_NOT_EXIST",
    "MCHID_NOT_EXIST",
    "MCH_NOT_EXISTS",
    "APPID_MCHID_NOT_MATCH",
    "XML_FORMAT_ERROR",
    "REQUIRE_POST_METHOD",
    "NOT_UTF8",
];

const REFUND_FINAL: [&str; 7] = [
    "REFUND_FEE_MISMATCH",
    "TRADE_OVERDUE",
    "USER_ACCOUNT_ABNORMAL",
    "INVALID_TRANSACTIONID",
    "PARAM_ERROR",
    "ORDERNOTEXIST",
    "INVALID_REQUEST",
];

const CODE_PAYMENT_FAILED: [&str; 23] = [
    "PARAM_ERROR",
    "LACK_PARAMS",
    "XML_FORMAT_ERROR",
    "REQUIRE_POST_METHOD",
    "POST_DATA_EMPTY",
    "SIGNERROR",
    "NOT_UTF8",
    "APPID_NOT_EXIST",
    "APPID_MCHID_NOT_MATCH",
    "MCHID_NOT_EXIST",
    "MCH_NOT_EXISTS",
    "NOAUTH",
    "AUTHCODEEXPIRE",
    "AUTH_CODE_ERROR",
    "AUTH_CODE_INVALID",
    "NOTENOUGH",
    // The protocol's spelling, and the one that it may be corrected to.
    "NOTSUPORTCARD",
    "NOTSUPPORTCARD",
    "ORDERCLOSED",
    "ORDERREVERSED",
    "BUYER_MISMATCH",
    "TRADE_ERROR",
    "INVALID_REQUEST",
];

impl WechatError {
    /// What it means as the answer to a refund of either API (申请退款, 错误码).
    pub fn as_refund(&self) -> RefundRefusal {
        let among = |codes: &[&str]| codes.iter().any(|code| self.is(code));
        // ERROR is a bag of everything, and only its text says what is inside.
        let told = self.is("ERROR")
            && ["订单已全额退款", "订单已关闭"].iter().any(|text| self.message.contains(text));
        if self.is_unknown() {
            RefundRefusal::Unknown
        } else if self.is_signature() || among(&REFUND_AGAIN) {
            RefundRefusal::Again
        } else if self.level == Level::Communication || told || among(&REFUND_FINAL) {
            RefundRefusal::Final
        } else {
            RefundRefusal::Unknown
        }
    }

    /// What it means as the answer to a code payment (付款码支付, 错误码).
    pub fn as_code_payment(&self) -> CodePaymentRefusal {
        if self.is_unknown() {
            CodePaymentRefusal::Unknown
        } else if self.is_paid() || self.is("OUT_TRADE_NO_USED") {
            CodePaymentRefusal::NumberUsed
        } else if self.level == Level::Communication
            || CODE_PAYMENT_FAILED.iter().any(|code| self.is(code))
        {
            CodePaymentRefusal::Failed
        } else {
            CodePaymentRefusal::Unknown
        }
    }

    /// Whether the payer of a code payment is typing the password.
    pub fn is_user_paying(&self) -> bool {
        self.is("USERPAYING")
    }

    /// Whether the number of the refund belongs to a refund of other amounts.
    pub fn is_refund_number_used(&self) -> bool {
        self.is("REFUND_FEE_MISMATCH")
            || (self.is("INVALID_REQUEST") && self.message.contains("请求重入"))
    }

    /// Whether a query says that there is no such refund. Only for the answer to a refund query,
    /// since the provider's sandbox says it with the code for orders.
    pub fn is_refund_not_found(&self) -> bool {
        self.is("REFUNDNOTEXIST") || self.is_not_found()
    }

    /// Whether there is no bill of that day: nothing happened, or the day's bill is not made yet
    /// (下载交易账单, 下载资金账单, 申请账单).
    pub fn is_no_bill(&self) -> bool {
        let told = ["20002", "NO_BILL_EXIST", "NO_STATEMENT_EXIST"].iter().any(|c| self.is(c));
        (told || self.says("NoBillExist")) && !self.is_bill_creating()
    }

    /// Whether the bill is being made: ask again in half an hour.
    pub fn is_bill_creating(&self) -> bool {
        self.says("BillCreating") || self.is("BILL_CREATING") || self.is("STATEMENT_CREATING")
    }

    /// Code or message without blanks and regard to case: bills word it in both places.
    fn says(&self, words: &str) -> bool {
        let same = |text: &str| {
            let letters = text.bytes().filter(|b| !b" _".contains(b));
            letters
                .map(|b| b.to_ascii_lowercase())
                .eq(words.bytes().map(|b| b.to_ascii_lowercase()))
        };
        same(&self.code) || same(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn business(code: &str, message: &str) -> WechatError {
        let (code, message) = (code.to_owned(), message.to_owned());
        WechatError { level: Level::Business, code, message }
    }

    fn at(level: Level, code: &str, message: &str) -> WechatError {
        WechatError { level, ..business(code, message) }
    }

    #[test]
    fn refused_refunds_are_unknown_repeatable_or_final() {
        use RefundRefusal::{Again, Final, Unknown};
        let cases = [
            (business("SYSTEMERROR", ""), Unknown),
            (business("BIZERR_NEED_RETRY", "退款业务流程错误，需要商户触发重试来解决"), Unknown),
            (business("FREQUENCY_LIMITED", ""), Unknown),
            (business("INVALID_REQ_TOO_MUCH", ""), Unknown),
            (business("A_NEW_CODE", ""), Unknown),
            (business("ERROR", "系统超时"), Unknown),
            (business("ERROR", "订单已全额退款"), Final),
            (business("ERROR", "订单已关闭"), Final),
            (business("NOTENOUGH", "基本账户余额不足，请充值后重新发起"), Again),
            (business("SIGNERROR", ""), Again),
            (business("MCHID_NOT_EXIST", ""), Again),
            (business("REFUND_FEE_MISMATCH", "订单金额或退款金额与之前请求不一致"), Final),
            (business("INVALID_REQUEST", "refund_fee大于可退金额"), Final),
            (business("TRADE_OVERDUE", ""), Final),
            (business("USER_ACCOUNT_ABNORMAL", ""), Final),
            (business("INVALID_TRANSACTIONID", ""), Final),
            (business("PARAM_ERROR", ""), Final),
            (business("ORDERNOTEXIST", "订单不存在"), Final),
            (at(Level::Communication, "FAIL", "invalid refund_fee"), Final),
            (at(Level::Communication, "FAIL", "签名错误"), Again),
            (at(Level::Communication, "FAIL", "系统繁忙"), Unknown),
            (at(Level::Http(429), "FREQUENCY_LIMITED", ""), Unknown),
            (at(Level::Http(500), "SYSTEM_ERROR", ""), Unknown),
            (at(Level::Http(403), "NOT_ENOUGH", ""), Again),
            (at(Level::Http(404), "RESOURCE_NOT_EXISTS", "订单不存在"), Again),
            (at(Level::Http(401), "SIGN_ERROR", ""), Again),
            (at(Level::Http(400), "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致"), Final),
            (at(Level::Http(400), "A_NEW_CODE", ""), Unknown),
        ];
        for (error, wanted) in cases {
            assert_eq!(error.as_refund(), wanted, "{error:?}");
        }
    }

    #[test]
    fn refused_code_payments_are_unknown_used_or_failed() {
        use CodePaymentRefusal::{Failed, NumberUsed, Unknown};
        for code in ["SYSTEMERROR", "BANKERROR", "USERPAYING", "A_NEW_CODE"] {
            assert_eq!(business(code, "").as_code_payment(), Unknown, "{code}");
        }
        for code in ["ORDERPAID", "OUT_TRADE_NO_USED"] {
            assert_eq!(business(code, "").as_code_payment(), NumberUsed, "{code}");
        }
        for code in CODE_PAYMENT_FAILED {
            assert_eq!(business(code, "").as_code_payment(), Failed, "{code}");
        }
        let bad_form = at(Level::Communication, "FAIL", "缺少参数auth_code");
        assert_eq!(bad_form.as_code_payment(), Failed);
        assert!(business("USERPAYING", "需要用户输入支付密码").is_user_paying());
    }

    #[test]
    fn a_missing_refund_and_a_used_number_are_news() {
        assert!(business("REFUNDNOTEXIST", "not exist").is_refund_not_found());
        assert!(business("ORDERNOTEXIST", "").is_refund_not_found(), "as the sandbox says it");
        assert!(at(Level::Http(404), "RESOURCE_NOT_EXISTS", "退款单不存在").is_refund_not_found());
        assert!(!business("SYSTEMERROR", "not exist").is_refund_not_found());
        assert!(business("REFUND_FEE_MISMATCH", "").is_refund_number_used());
        assert!(!business("INVALID_REQUEST", "refund_fee大于可退金额").is_refund_number_used());
    }

    #[test]
    fn bills_that_are_not_there_are_told_in_every_spelling() {
        let plain = |code: &str, message: &str| at(Level::Communication, code, message);
        assert!(plain("20002", "No Bill Exist").is_no_bill());
        assert!(plain("NO Bill Exist", "").is_no_bill());
        assert!(plain("FAIL", "No Bill Exist").is_no_bill());
        assert!(business("NO_BILL_EXIST", "").is_no_bill());
        assert!(at(Level::Http(400), "NO_STATEMENT_EXIST", "请求的账单文件不存在").is_no_bill());
        assert!(plain("FAIL", "Bill Creating").is_bill_creating());
        let early = plain("20002", "Bill Creating");
        assert!(early.is_bill_creating() && !early.is_no_bill(), "the text is more exact");
        assert!(business("BILL_CREATING", "").is_bill_creating());
        assert!(at(Level::Http(400), "STATEMENT_CREATING", "账单生成中").is_bill_creating());
        let other = plain("20001", "invalid bill_type");
        assert!(!other.is_no_bill() && !other.is_bill_creating());
    }
}
