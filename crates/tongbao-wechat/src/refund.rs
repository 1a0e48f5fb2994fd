//! A refund as WeChat tells of it: one type for both APIs, replies and notifications alike.
//!
//! Accepted is not refunded: only [`RefundState::Success`] says that the money went back.

use tongbao_types::{Fen, Timestamp};

/// Which refund is meant. Of several numbers WeChat takes the most exact one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundKey {
    /// The merchant's number of the refund.
    OutRefundNo(String),
    /// WeChat's number of the refund (API v2).
    RefundId(String),
    /// All refunds of the order with this number of the merchant's (API v2).
    OutTradeNo(String),
    /// All refunds of the order with this number of WeChat's (API v2).
    TransactionId(String),
}

/// `status`, `refund_status`: how a refund stands. The two APIs have different words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundState {
    /// Accepted, on its way.
    Processing,
    /// The payer has the money.
    Success,
    /// Closed: the money did not move. Another try needs another number.
    Closed,
    /// The payer's card or account does not take it: a person must act on the merchant platform.
    Abnormal,
    /// A word that the documentation does not have.
    Other(String),
}

impl RefundState {
    /// API v2's word.
    pub fn as_v2_str(&self) -> &str {
        match self {
            RefundState::Processing => "PROCESSING",
            RefundState::Success => "SUCCESS",
            RefundState::Closed => "REFUNDCLOSE",
            RefundState::Abnormal => "CHANGE",
            RefundState::Other(word) => word,
        }
    }

    /// API v3's word.
    pub fn as_v3_str(&self) -> &str {
        match self {
            RefundState::Closed => "CLOSED",
            RefundState::Abnormal => "ABNORMAL",
            same => same.as_v2_str(),
        }
    }

    /// Reads a word of API v2; v3's are strange there.
    pub fn read_v2(word: &str) -> RefundState {
        RefundState::read(word, RefundState::as_v2_str)
    }

    /// Reads a word of API v3; v2's are strange there.
    pub fn read_v3(word: &str) -> RefundState {
        RefundState::read(word, RefundState::as_v3_str)
    }

    /// Whether it stays as it is. An abnormal refund can still succeed.
    pub const fn is_final(&self) -> bool {
        matches!(self, RefundState::Success | RefundState::Closed)
    }

    fn read(word: &str, name: impl Fn(&RefundState) -> &str) -> RefundState {
        let known = [
            RefundState::Processing,
            RefundState::Success,
            RefundState::Closed,
            RefundState::Abnormal,
        ];
        let found = known.into_iter().find(|state| name(state) == word);
        found.unwrap_or_else(|| RefundState::Other(word.chars().take(32).collect()))
    }
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The merchant's number of the order.
    pub out_trade_no: String,
    /// WeChat's number of the trade.
    pub transaction_id: String,
    /// The merchant's number of the refund.
    pub out_refund_no: String,
    /// WeChat's number of the refund.
    pub refund_id: String,
    /// What goes back (`refund_fee`, `amount.refund`).
    pub refund_fen: Fen,
    /// The order's amount (`total_fee`, `amount.total`).
    pub total_fen: Fen,
    /// How it stands.
    pub state: RefundState,
    /// When the money arrived; only of successful ones.
    pub success_time: Option<Timestamp>,
    /// When it was accepted; API v2 does not tell.
    pub created_time: Option<Timestamp>,
    /// Where the money goes, in words for people: `支付用户零钱`, `招商银行信用卡0403`.
    pub user_received_account: Option<String>,
    /// ORIGINAL, BALANCE, OTHER_BALANCE, OTHER_BANKCARD.
    pub channel: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back_in_the_words_of_its_own_api() {
        for word in ["PROCESSING", "SUCCESS", "REFUNDCLOSE", "CHANGE"] {
            let state = RefundState::read_v2(word);
            assert_eq!(state.as_v2_str(), word);
            assert!(!matches!(state, RefundState::Other(_)));
        }
        for word in ["PROCESSING", "SUCCESS", "CLOSED", "ABNORMAL"] {
            let state = RefundState::read_v3(word);
            assert_eq!(state.as_v3_str(), word);
            assert!(!matches!(state, RefundState::Other(_)));
        }
        assert_eq!(RefundState::read_v3("CHANGE"), RefundState::Other("CHANGE".to_owned()));
        assert_eq!(RefundState::read_v2("ABNORMAL"), RefundState::Other("ABNORMAL".to_owned()));
    }

    #[test]
    fn only_success_and_closed_are_final() {
        let fin = |word| RefundState::read_v2(word).is_final();
        assert!(fin("SUCCESS") && fin("REFUNDCLOSE"));
        assert!(!fin("PROCESSING") && !fin("CHANGE") && !fin("SOON"));
    }
}
