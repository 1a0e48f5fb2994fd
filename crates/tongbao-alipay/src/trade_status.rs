//! `trade_status` of a trade. Alipay, 交易状态说明.

use std::fmt;

/// Where a trade stands at Alipay. One that Alipay does not know has no status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradeStatus {
    /// Created, not paid.
    WaitBuyerPay,
    /// Paid, and can be refunded.
    TradeSuccess,
    /// Paid, and cannot be refunded any more.
    TradeFinished,
    /// Closed without a payment, or paid and refunded in full: the word does not tell which.
    TradeClosed,
    /// A word that this version does not know.
    Unknown(String),
}

impl TradeStatus {
    /// From the word on the wire.
    pub fn from_word(word: &str) -> TradeStatus {
        match word {
            "WAIT_BUYER_PAY" => TradeStatus::WaitBuyerPay,
            "TRADE_SUCCESS" => TradeStatus::TradeSuccess,
            "TRADE_FINISHED" => TradeStatus::TradeFinished,
            "TRADE_CLOSED" => TradeStatus::TradeClosed,
            other => TradeStatus::Unknown(other.chars().take(32).collect()),
        }
    }

    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            TradeStatus::WaitBuyerPay => "WAIT_BUYER_PAY",
            TradeStatus::TradeSuccess => "TRADE_SUCCESS",
            TradeStatus::TradeFinished => "TRADE_FINISHED",
            TradeStatus::TradeClosed => "TRADE_CLOSED",
            TradeStatus::Unknown(word) => word,
        }
    }

    /// Whether the buyer's money has arrived and was not taken back in full.
    pub fn is_paid(&self) -> bool {
        matches!(self, TradeStatus::TradeSuccess | TradeStatus::TradeFinished)
    }
}

impl fmt::Display for TradeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_two_of_them_mean_paid() {
        let words = ["WAIT_BUYER_PAY", "TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED", "NEW"];
        for (word, paid) in words.into_iter().zip([false, true, true, false, false]) {
            let status = TradeStatus::from_word(word);
            assert_eq!(status.as_str(), word);
            assert_eq!(status.is_paid(), paid, "{word}");
        }
    }
}
