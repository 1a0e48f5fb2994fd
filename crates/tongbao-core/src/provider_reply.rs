//! What a provider said about an order in its own words, the last of each kind: kept for apps whose
//! older service shows them, and never decided on.

use std::str::FromStr;
use tongbao_types::{ChargeId, Timestamp, UnknownWord};

/// One answer or notification of a provider, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderReply {
    /// About which charge.
    pub charge: ChargeId,
    /// What it answers.
    pub kind: ReplyKind,
    /// Its fields as a JSON object, with the provider's own names and values.
    pub body: String,
    /// When it came here, by the business clock.
    pub at: Timestamp,
}

macro_rules! kinds {
    ($(#[doc = $doc:literal] $variant:ident $word:literal,)*) => {
        /// What a provider's words answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReplyKind { $(#[doc = $doc] $variant,)* }

        impl ReplyKind {
            /// Every kind.
            pub const ALL: &'static [ReplyKind] = &[$(ReplyKind::$variant,)*];

            /// The word in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(ReplyKind::$variant => $word,)* }
            }
        }

        impl FromStr for ReplyKind {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(ReplyKind::$variant),)*
                    _ => Err(UnknownWord { what: "reply", word: word.chars().take(80).collect() }),
                }
            }
        }
    };
}

kinds! {
    /// The placing of the order.
    Order "order",
    /// A question about the order.
    Query "query",
    /// The closing of the order.
    Close "close",
    /// Nothing: the provider told of the payment by itself.
    Notice "notice",
    /// A refund.
    Refund "refund",
    /// A question about a refund.
    RefundQuery "refund_query",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back() {
        for kind in ReplyKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("".parse::<ReplyKind>().is_err());
    }
}
