//! What a `sub_code` means for the operation that met it: whether to ask, to repeat, to tell the
//! buyer or to give up. Alipay, the lists of business errors (业务错误码) on the operations' pages.
//!
//! A name that no list has is never read as a failure: [`Ask`](PayRefusal::Ask) first.

use crate::GatewayError;

/// The buyer or the buyer's bank says no; another attempt needs a new code.
const BUYER: &[&str] = &[
    "BUYER_SELLER_EQUAL",
    "BUYER_ENABLE_STATUS_FORBID",
    "BUYER_BALANCE_NOT_ENOUGH",
    "BUYER_BANKCARD_BALANCE_NOT_ENOUGH",
    "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR",
    "BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR",
    "ERROR_BALANCE_PAYMENT_DISABLE",
    "PAYMENT_FAIL",
    "MOBILE_PAYMENT_SWITCH_OFF",
    "NO_PAYMENT_INSTRUMENTS_AVAILABLE",
    "PULL_MOBILE_CASHIER_FAIL",
    "USER_FACE_PAYMENT_SWITCH_OFF",
];

/// The order itself, the contract or the account is wrong.
const ORDER: &[&str] = &[
    "INVALID_PARAMETER",
    "ACCESS_FORBIDDEN",
    "PARTNER_ERROR",
    "TOTAL_FEE_EXCEED",
    "EXIST_FORBIDDEN_WORD",
    "SELLER_BEEN_BLOCKED",
    "BEYOND_PAY_RESTRICTION",
    "BEYOND_PER_RECEIPT_RESTRICTION",
    "MERCHANT_STATUS_NOT_NORMAL",
    "NOW_TIME_AFTER_EXPIRE_TIME_ERROR",
    "APPLY_PC_MERCHANT_CODE_ERROR",
    "SUB_GOODS_SIZE_MAX_COUNT",
    "INVALID_RECEIVE_ACCOUNT",
    "SELLER_NOT_EXIST",
    "RISK_MERCHANT_IP_NOT_EXIST",
];

/// Repeating a refund later, with the same number, can succeed.
const REFUND_LATER: &[&str] = &["SELLER_BALANCE_NOT_ENOUGH", "REFUND_CHARGE_ERROR"];

/// No repeating helps a refund.
const REFUND_FINAL: &[&str] = &[
    "TRADE_HAS_FINISHED",
    "REASON_TRADE_BEEN_FREEZEN",
    "TRADE_NOT_ALLOW_REFUND",
    "NOT_ALLOW_PARTIAL_REFUND",
    "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND",
    "BUYER_NOT_EXIST",
    "BUYER_ERROR",
    "CUSTOMER_VALIDATE_ERROR",
    "REFUND_ACCOUNT_NOT_EXIST",
    "CURRENCY_NOT_SUPPORT",
    "USER_NOT_MATCH_ERR",
];

/// The refund's request, the contract or the shares (分账) are wrong.
const REFUND_SETUP: &[&str] = &[
    "INVALID_PARAMETER",
    "ACCESS_FORBIDDEN",
    "PARTNER_ERROR",
    "ALLOC_AMOUNT_VALIDATE_ERROR",
    "TRADE_SETTLE_ERROR",
    "REFUNDALLOC_UNAUTH_LIMIT",
    "REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST",
];

/// What to do after `alipay.trade.pay` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayRefusal {
    /// The outcome is not known: ask, and cancel if it stays so.
    Unknown,
    /// The number is in use (paid, closed, other content, another buyer), or the name is none that
    /// is known here: ask where the trade stands.
    Ask,
    /// Not paid: the buyer or the buyer's bank refused.
    Buyer,
    /// Not paid: the code is wrong, used or too old; scan again.
    AuthCode,
    /// Not paid: Alipay's risk control refused; another means of payment is needed.
    Risk,
    /// Not paid: too many calls; later.
    Later,
    /// Not paid: the order, the contract or the configuration is wrong.
    Setup,
}

/// What to do after `alipay.trade.refund` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundRefusal {
    /// The outcome is not known: the same number and the same amount again.
    Unknown,
    /// Nothing was refunded by this call, but perhaps by an earlier one, or by another way: ask for
    /// the refund and the trade. Never change the number to get past it.
    Ask,
    /// Nothing was refunded; the same number later can succeed.
    Later,
    /// Nothing was refunded, and nothing will be.
    Final,
    /// Nothing was refunded: the request, the contract or the configuration is wrong.
    Setup,
}

impl GatewayError {
    /// No such trade, or the buyer has not come yet.
    pub fn is_trade_not_exist(&self) -> bool {
        self.is("TRADE_NOT_EXIST")
    }

    /// Ordering what is paid already. It may be another purchase under the same number: ask.
    pub fn is_trade_paid(&self) -> bool {
        self.is("TRADE_HAS_SUCCESS")
    }

    /// The trade is closed: never paid, or refunded in full.
    pub fn is_trade_closed(&self) -> bool {
        self.is("TRADE_HAS_CLOSE")
    }

    /// The trade is paid and final.
    pub fn is_trade_finished(&self) -> bool {
        self.is("TRADE_HAS_FINISHED")
    }

    /// The trade's state does not permit the operation; ask which one it is.
    pub fn is_wrong_state(&self) -> bool {
        let names = ["TRADE_STATUS_ERROR", "REASON_TRADE_STATUS_INVALID", "REASON_ILLEGAL_STATUS"];
        self.is_any(&names)
    }

    /// The same number was ordered before with another content.
    pub fn is_other_content(&self) -> bool {
        self.is("CONTEXT_INCONSISTENT")
    }

    /// Whether there is nothing in the bill of that time, or no bill (yet).
    pub fn is_bill_absent(&self) -> bool {
        self.is_any(&["NO_BILL_DATA", "BILL_NOT_EXIST", "isp.bill_not_exist"])
    }

    /// What the refusal of `alipay.trade.pay` means.
    pub fn of_pay(&self) -> PayRefusal {
        if self.is_unknown() {
            PayRefusal::Unknown
        } else if self.is_limited() {
            PayRefusal::Later
        } else if self.is("PAYMENT_AUTH_CODE_INVALID") {
            PayRefusal::AuthCode
        } else if self.is("PAYMENT_REQUEST_HAS_RISK") {
            PayRefusal::Risk
        } else if self.is_any(BUYER) {
            PayRefusal::Buyer
        } else if self.is_of_the_request() || self.is_any(ORDER) {
            PayRefusal::Setup
        } else {
            PayRefusal::Ask
        }
    }

    /// What the refusal of `alipay.trade.refund` means.
    pub fn of_refund(&self) -> RefundRefusal {
        if self.is_unknown() {
            RefundRefusal::Unknown
        } else if self.is_limited() || self.is_any(REFUND_LATER) {
            RefundRefusal::Later
        } else if self.is_any(REFUND_FINAL) {
            RefundRefusal::Final
        } else if self.is_of_the_request() || self.is_any(REFUND_SETUP) {
            RefundRefusal::Setup
        } else {
            RefundRefusal::Ask
        }
    }

    /// Whether the gateway refused before anything of the business saw the call.
    fn is_of_the_request(&self) -> bool {
        ["20001", "40001", "40002", "40003", "40006"].contains(&self.code.as_str())
    }

    fn is_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.is(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, sub_code: &str) -> GatewayError {
        let [msg, sub_msg] = [String::new(), String::new()];
        GatewayError { code: code.into(), msg, sub_code: sub_code.into(), sub_msg, signed: true }
    }

    #[test]
    fn a_payment_that_was_refused_is_told_from_one_that_is_unknown() {
        for (code, sub_code, wanted) in [
            ("20000", "isp.unknow-error", PayRefusal::Unknown),
            ("20000", "ACQ.BUYER_BALANCE_NOT_ENOUGH", PayRefusal::Unknown),
            ("40004", "ACQ.SYSTEM_ERROR", PayRefusal::Unknown),
            ("40004", "AQC.SYSTEM_ERROR", PayRefusal::Unknown),
            ("40004", "aop.unknow-error", PayRefusal::Unknown),
            ("40005", "isv.app-call-limited", PayRefusal::Later),
            ("40004", "ACQ.PAYMENT_AUTH_CODE_INVALID", PayRefusal::AuthCode),
            ("40004", "ACQ.PAYMENT_REQUEST_HAS_RISK", PayRefusal::Risk),
            ("40004", "ACQ.BUYER_BALANCE_NOT_ENOUGH", PayRefusal::Buyer),
            ("40004", "ACQ.USER_FACE_PAYMENT_SWITCH_OFF", PayRefusal::Buyer),
            ("40004", "ACQ.TOTAL_FEE_EXCEED", PayRefusal::Setup),
            ("40002", "isv.invalid-signature", PayRefusal::Setup),
            ("40004", "ACQ.TRADE_HAS_SUCCESS", PayRefusal::Ask),
            ("40004", "ACQ.TRADE_HAS_CLOSE", PayRefusal::Ask),
            ("40004", "ACQ.CONTEXT_INCONSISTENT", PayRefusal::Ask),
            ("40004", "ACQ.TRADE_BUYER_NOT_MATCH", PayRefusal::Ask),
            ("40004", "ACQ.UNHEARD_OF", PayRefusal::Ask),
            ("40004", "", PayRefusal::Ask),
            ("90000", "", PayRefusal::Ask),
        ] {
            assert_eq!(error(code, sub_code).of_pay(), wanted, "{code} {sub_code}");
        }
    }

    #[test]
    fn only_what_is_final_ends_a_refund() {
        for (code, sub_code, wanted) in [
            ("20000", "", RefundRefusal::Unknown),
            ("40004", "ACQ.SYSTEM_ERROR", RefundRefusal::Unknown),
            ("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH", RefundRefusal::Later),
            ("40004", "ACQ.REFUND_CHARGE_ERROR", RefundRefusal::Later),
            ("40005", "", RefundRefusal::Later),
            ("40004", "ACQ.TRADE_HAS_FINISHED", RefundRefusal::Final),
            ("40004", "ACQ.REASON_TRADE_BEEN_FREEZEN", RefundRefusal::Final),
            ("40004", "ACQ.NOT_ALLOW_PARTIAL_REFUND", RefundRefusal::Final),
            ("40004", "USER_NOT_MATCH_ERR", RefundRefusal::Final),
            ("40004", "ACQ.INVALID_PARAMETER", RefundRefusal::Setup),
            ("40004", "ACQ.TRADE_SETTLE_ERROR", RefundRefusal::Setup),
            ("40006", "isv.insufficient-isv-permissions", RefundRefusal::Setup),
            ("40004", "ACQ.TRADE_STATUS_ERROR", RefundRefusal::Ask),
            ("40004", "ACQ.TRADE_HAS_CLOSE", RefundRefusal::Ask),
            ("40004", "ACQ.TRADE_NOT_EXIST", RefundRefusal::Ask),
            ("40004", "ACQ.DISCORDANT_REPEAT_REQUEST", RefundRefusal::Ask),
            ("40004", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", RefundRefusal::Ask),
            ("40004", "ACQ.REASON_TRADE_REFUND_FEE_ERR", RefundRefusal::Ask),
            ("40004", "ACQ.REFUND_FEE_ERROR", RefundRefusal::Ask),
            ("40004", "ACQ.UNHEARD_OF", RefundRefusal::Ask),
        ] {
            assert_eq!(error(code, sub_code).of_refund(), wanted, "{code} {sub_code}");
        }
    }

    #[test]
    fn states_of_a_trade_are_told_by_name() {
        let is = |name: &str, question: fn(&GatewayError) -> bool| {
            assert!(question(&error("40004", name)), "{name}");
            assert!(!question(&error("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH")), "{name}");
        };
        is("ACQ.TRADE_NOT_EXIST", GatewayError::is_trade_not_exist);
        is("TRADE_NOT_EXIST", GatewayError::is_trade_not_exist);
        is("ACQ.TRADE_HAS_SUCCESS", GatewayError::is_trade_paid);
        is("ACQ.TRADE_HAS_CLOSE", GatewayError::is_trade_closed);
        is("ACQ.TRADE_HAS_FINISHED", GatewayError::is_trade_finished);
        is("ACQ.TRADE_STATUS_ERROR", GatewayError::is_wrong_state);
        is("ACQ.REASON_TRADE_STATUS_INVALID", GatewayError::is_wrong_state);
        is("ACQ.REASON_ILLEGAL_STATUS", GatewayError::is_wrong_state);
        is("ACQ.CONTEXT_INCONSISTENT", GatewayError::is_other_content);
        is("NO_BILL_DATA", GatewayError::is_bill_absent);
        is("isp.bill_not_exist", GatewayError::is_bill_absent);
    }
}
