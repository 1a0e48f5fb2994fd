//! Reverse (微信支付 API v2, 撤销订单): ends a code payment whose outcome stayed open. The call
//! needs the merchant's client certificate ([`needs_certificate`](super::needs_certificate)).
//!
//! What is unpaid is closed, what is paid goes back. Unknown numbers succeed.

use super::envelope::{Opened, Refusal, Replier, field, need, read_reply, request};
use super::query::{read_key, set_key};
use crate::account::V2Credentials;
use crate::error::{Answer, ReplyError};
use crate::rules::{Kind, Rule, may};
use crate::trade::TradeKey;
use crate::xml::Fields;
use tongbao_types::{HttpRequest, HttpResponse};

/// Where reversals are sent, with the client certificate.
pub const REVERSE_PATH: &str = "/secapi/pay/reverse";

/// Undo this code payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReverseOrder {
    /// Which trade.
    pub key: TradeKey,
}

/// Whether the call must be made again (`recall`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// `N`: it is reversed.
    Done,
    /// `Y`: not yet; the same call, with the same parameters.
    Again,
}

const RULES: &[Rule] = &[
    may("transaction_id", "微信支付订单号", Kind::Text(1, 32)),
    may("out_trade_no", "商户订单号", Kind::OutTradeNo),
];

impl ReverseOrder {
    /// By the merchant's number, all that is known while the outcome is open.
    pub fn by_out_trade_no(number: &str) -> ReverseOrder {
        ReverseOrder { key: TradeKey::OutTradeNo(number.to_owned()) }
    }

    /// The merchant's request.
    pub fn encode(&self, credentials: &V2Credentials, nonce: &str) -> HttpRequest {
        let mut fields = Fields::new();
        set_key(&mut fields, &self.key);
        request(REVERSE_PATH, fields, credentials, nonce)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<ReverseOrder, Refusal> {
        opened.check(RULES)?;
        Ok(ReverseOrder { key: read_key(opened)? })
    }

    /// The provider's reply.
    pub fn encode_reply(recall: Recall, replier: &Replier<'_>) -> HttpResponse {
        let mut own = Fields::new();
        own.set("recall", if recall == Recall::Again { "Y" } else { "N" });
        replier.done(own)
    }

    /// The merchant reads the reply. Without a clear `recall` nobody knows whether it is done, so
    /// that is an error and the call is to be made again.
    pub fn decode_reply(
        &self,
        credentials: &V2Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<Recall>, ReplyError> {
        read_reply(credentials, response)?.then(|fields| match need(&fields, "recall")? {
            "Y" => Ok(Recall::Again),
            "N" => Ok(Recall::Done),
            _ => Err(field("recall", "is neither Y nor N").into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{credentials, opened};
    use super::*;
    use crate::account::SignType;

    #[test]
    fn a_reversal_goes_there_and_back_by_either_number() {
        let credentials = credentials(SignType::HmacSha256);
        let theirs = TradeKey::TransactionId("4200000263201902167700136502".to_owned());
        let ours = ReverseOrder::by_out_trade_no("20180821665587");
        for reverse in [ours, ReverseOrder { key: theirs }] {
            let request = reverse.encode(&credentials, "n1");
            assert_eq!(request.path(), REVERSE_PATH);
            let opened = opened(&request, &credentials);
            assert_eq!(ReverseOrder::decode(&opened).as_ref(), Ok(&reverse));
            for recall in [Recall::Done, Recall::Again] {
                let replier = opened.replier(credentials.key(), "n2");
                let response = ReverseOrder::encode_reply(recall, &replier);
                let answer = reverse.decode_reply(&credentials, &response);
                assert_eq!(answer, Ok(Answer::Done(recall)));
            }
        }
    }

    #[test]
    fn an_unclear_reply_is_not_done() {
        let credentials = credentials(SignType::Md5);
        let reverse = ReverseOrder::by_out_trade_no("20180821665587");
        let opened = opened(&reverse.encode(&credentials, "n1"), &credentials);
        let replier = opened.replier(credentials.key(), "n2");
        for text in ["", "y", "1"] {
            let mut own = Fields::new();
            own.set("recall", text);
            let reply = reverse.decode_reply(&credentials, &replier.done(own));
            assert!(matches!(reply, Err(ReplyError::Field(f)) if f.name == "recall"), "{text}");
        }
        let paying = Refusal::business("USERPAYING", "正在支付中不能发起撤销");
        let answer = reverse.decode_reply(&credentials, &replier.refuse(&paying));
        assert!(matches!(answer, Ok(Answer::Refused(e)) if e.is_unknown() && e.is_user_paying()));
    }

    #[test]
    fn a_reversal_without_a_number_is_refused() {
        let credentials = credentials(SignType::Md5);
        let bare = request(REVERSE_PATH, Fields::new(), &credentials, "n1");
        assert!(ReverseOrder::decode(&opened(&bare, &credentials)).is_err());
    }
}
