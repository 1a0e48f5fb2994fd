//! Reverse (微信支付 API v3, 撤销): the end of a code payment whose outcome is not known.
//!
//! An unpaid order is closed, a paid one's money goes back. Not within 15 seconds of the payment;
//! after an unknown outcome it is sent again, the same.

use super::envelope::{Opened, Received, Refusal, Replier, Stamp, post, read_json};
use super::party::{Mode, Party, same};
use super::target::{checked_segment, path_segment};
use crate::account::{Merchant, V3Credentials};
use crate::error::{Answer, ReplyError};
use crate::rules::{Kind, must};
use serde::{Deserialize, Serialize};
use tongbao_types::{HttpRequest, HttpResponse};

const PREFIX: &str = "out-trade-no/";
const SUFFIX: &str = "/reverse";

/// Let this code payment not have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReverseOrder {
    /// The merchant's number.
    pub out_trade_no: String,
}

#[derive(Serialize, Deserialize)]
struct Reply {
    #[serde(flatten)]
    party: Party,
    out_trade_no: String,
}

impl ReverseOrder {
    /// The merchant's request. The documentation says that service providers may leave `sp_appid`
    /// out; production answers SYSTEM_ERROR then (seen in 2024-07), so it is always there.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let merchant = credentials.merchant();
        let rest = format!("{PREFIX}{}{SUFFIX}", path_segment(&self.out_trade_no));
        post(Mode::of(merchant).path(&rest), &Party::of(merchant), credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well; `opened.merchant` says whose.
    pub fn decode(opened: &Opened) -> Result<ReverseOrder, Refusal> {
        let (mode, rest) = Mode::strip(opened.request.path()).unwrap_or((Mode::Direct, ""));
        let segment = rest.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
        let rule = must("out_trade_no", "商户订单号", Kind::OutTradeNo);
        let out_trade_no = checked_segment(segment.unwrap_or(""), &rule)?;
        let party: Party = opened.body(mode.rules())?;
        opened.check_party(&party)?;
        Ok(ReverseOrder { out_trade_no })
    }

    /// The provider's reply.
    pub fn encode_reply(&self, merchant: &Merchant, replier: &Replier<'_>) -> HttpResponse {
        let party = Party::of(merchant);
        replier.json(&Reply { party, out_trade_no: self.out_trade_no.clone() })
    }

    /// The merchant reads the reply, and checks that it is about this order. App ids may be absent.
    pub fn decode_reply(
        &self,
        credentials: &V3Credentials,
        received: &Received<'_>,
    ) -> Result<Answer<()>, ReplyError> {
        received.verified()?.then(|body| {
            let Reply { party, out_trade_no } = read_json(body)?;
            let merchant = credentials.merchant();
            if party.app_id().is_empty() {
                party.check_numbers(merchant)?;
            } else {
                party.check(merchant)?;
            }
            Ok(same("out_trade_no", &self.out_trade_no, Some(&out_trade_no))?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{PAIR, PARTNER, opened, received, replier, stamp};
    use super::*;
    use serde_json::{Value, json};

    fn reverse() -> ReverseOrder {
        ReverseOrder { out_trade_no: "20180821|665587".to_owned() }
    }

    #[test]
    fn a_reverse_goes_there_and_back_in_both_modes() {
        for (credentials, path, body) in [
            (
                &PAIR.credentials,
                "/v3/pay/transactions/out-trade-no/20180821%7C665587/reverse",
                r#"{"appid":"wxd930ea5d5a258f4f","mchid":"1900000109"}"#,
            ),
            (
                &*PARTNER,
                "/v3/pay/partner/transactions/out-trade-no/20180821%7C665587/reverse",
                r#"{"sp_appid":"wxd930ea5d5a258f4f","sp_mchid":"1900000109","sub_appid":"wxd678efh567hg6787","sub_mchid":"1900000209"}"#,
            ),
        ] {
            let request = reverse().encode(credentials, stamp());
            assert_eq!((request.target.as_str(), &request.body[..]), (path, body.as_bytes()));
            let opened = opened(request);
            assert_eq!(ReverseOrder::decode(&opened), Ok(reverse()));
            assert_eq!(opened.merchant, *credentials.merchant());
            let response = reverse().encode_reply(credentials.merchant(), &replier());
            let wanted =
                format!(r#"{},"out_trade_no":"20180821|665587"}}"#, body.trim_end_matches('}'));
            assert_eq!(response.body, wanted);
            let answer = reverse().decode_reply(credentials, &received(&response));
            assert_eq!(answer, Ok(Answer::Done(())));
        }
    }

    #[test]
    fn a_reply_about_another_order_or_account_is_not_believed() {
        let check = |body: Value, wanted: Option<&str>| {
            let response = replier().json(&body);
            let answer = reverse().decode_reply(&PAIR.credentials, &received(&response));
            let field = answer.err().map(|error| match error {
                ReplyError::Mismatch(mismatch) => mismatch.field,
                other => panic!("{other:?}"),
            });
            assert_eq!(field, wanted);
        };
        let number = "20180821|665587";
        check(json!({"mchid": "1900000109", "out_trade_no": number}), None);
        check(json!({"mchid": "1900000109", "out_trade_no": "2"}), Some("out_trade_no"));
        check(json!({"mchid": "2", "out_trade_no": number}), Some("mchid"));
        check(
            json!({"appid": "wx2", "mchid": "1900000109", "out_trade_no": number}),
            Some("appid"),
        );
        check(json!({"out_trade_no": number}), Some("mchid"));
    }

    #[test]
    fn the_provider_checks_the_number_and_the_merchant() {
        let check = |target: &str, body: Value| {
            let request = post(target.to_owned(), &body, &PAIR.credentials, stamp());
            assert_eq!(ReverseOrder::decode(&opened(request)).unwrap_err().code, "PARAM_ERROR");
        };
        let good = "/v3/pay/transactions/out-trade-no/20180821665587/reverse";
        check(good, json!({"mchid": "1900000109"}));
        check(good, json!({"appid": "wxd930ea5d5a258f4f", "mchid": "1"}));
        let body = json!({"appid": "wxd930ea5d5a258f4f", "mchid": "1900000109"});
        check("/v3/pay/transactions/out-trade-no/123/reverse", body.clone());
        check("/v3/pay/partner/transactions/out-trade-no/20180821665587/reverse", body);
    }
}
