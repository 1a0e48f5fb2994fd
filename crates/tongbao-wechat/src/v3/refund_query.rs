//! Refund query (微信支付 API v3, 查询单笔退款).
//!
//! RESOURCE_NOT_EXISTS right after the refund was asked for does not prove that it was never taken;
//! minutes later it does ([`crate::WechatError::is_refund_not_found`]).

use super::envelope::{Opened, Received, Refusal, Replier, Stamp, get, read_json};
use super::party::same;
use super::refund::{REFUND_PATH, RefundBody};
use super::target::{Parameters, checked_segment, path_segment};
use crate::account::V3Credentials;
use crate::error::{Answer, ReplyError};
use crate::refund::Refund;
use crate::rules::{Kind, may, must};
use tongbao_types::{HttpRequest, HttpResponse};

/// How does this refund stand?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundQuery {
    /// The merchant's number of the refund.
    pub out_refund_no: String,
}

impl RefundQuery {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let mut target = format!("{REFUND_PATH}/{}", path_segment(&self.out_refund_no));
        if let Some(sub_mchid) = &credentials.merchant().sub_mch_id {
            target.push_str(&format!("?sub_mchid={sub_mchid}"));
        }
        get(target, credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well. A service provider's must
    /// name the sub-merchant (`opened.merchant`).
    pub fn decode(opened: &Opened) -> Result<RefundQuery, Refusal> {
        let path = opened.request.path().strip_prefix(REFUND_PATH);
        let segment = path.and_then(|rest| rest.strip_prefix('/')).unwrap_or("");
        let rule = must("out_refund_no", "商户退款单号", Kind::OutRefundNo);
        let out_refund_no = checked_segment(segment, &rule)?;
        let rules = [may("sub_mchid", "子商户号", Kind::Text(1, 32))];
        Parameters::checked(opened.request.query(), &rules)?;
        Ok(RefundQuery { out_refund_no })
    }

    /// The provider's reply.
    pub fn encode_reply(refund: &Refund, replier: &Replier<'_>) -> HttpResponse {
        replier.json(&RefundBody::of(refund))
    }

    /// The provider's no to a number that it does not know.
    pub fn not_found() -> Refusal {
        Refusal::new(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
    }

    /// The merchant reads the reply, and checks that it is about the refund asked for.
    pub fn decode_reply(&self, received: &Received<'_>) -> Result<Answer<Refund>, ReplyError> {
        received.verified()?.then(|body| {
            let refund = read_json::<RefundBody>(body)?.refund()?;
            same("out_refund_no", &self.out_refund_no, Some(&refund.out_refund_no))?;
            Ok(refund)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{PAIR, PARTNER, opened, received, replier, stamp};
    use super::super::refund::tests::refund;
    use super::*;
    use crate::error::SignatureError;
    use crate::refund::RefundState;

    fn query() -> RefundQuery {
        RefundQuery { out_refund_no: "20180821665587-1@a|*".to_owned() }
    }

    #[test]
    fn a_query_goes_there_and_back_in_both_modes() {
        let path = "/v3/refund/domestic/refunds/20180821665587-1%40a%7C*";
        for (credentials, wanted) in [
            (&PAIR.credentials, path.to_owned()),
            (&*PARTNER, format!("{path}?sub_mchid=1900000209")),
        ] {
            let request = query().encode(credentials, stamp());
            assert_eq!(request.target, wanted);
            let opened = opened(request);
            assert_eq!(RefundQuery::decode(&opened), Ok(query()));
            assert_eq!(opened.merchant.sub_mch_id, credentials.merchant().sub_mch_id);
        }
        for word in ["PROCESSING", "SUCCESS", "CLOSED", "ABNORMAL", "NEWWORD"] {
            let refund = refund(RefundState::read_v3(word));
            let response = RefundQuery::encode_reply(&refund, &replier());
            assert_eq!(query().decode_reply(&received(&response)), Ok(Answer::Done(refund)));
        }
    }

    #[test]
    fn a_reply_that_is_forged_or_about_another_refund_is_not_believed() {
        let mut response = RefundQuery::encode_reply(&refund(RefundState::Success), &replier());
        let other = RefundQuery { out_refund_no: "2".to_owned() };
        let error = other.decode_reply(&received(&response)).unwrap_err();
        assert!(matches!(error, ReplyError::Mismatch(m) if m.field == "out_refund_no"));
        response.body = [&response.body[..], b" "].concat().into();
        let error = query().decode_reply(&received(&response)).unwrap_err();
        assert_eq!(error, SignatureError::Mismatch.into());
    }

    #[test]
    fn a_refund_that_is_not_known_is_told_apart() {
        let response = RefundQuery::not_found().encode("id");
        let answer = query().decode_reply(&received(&response));
        assert!(matches!(answer, Ok(Answer::Refused(error)) if error.is_refund_not_found()));
    }

    #[test]
    fn the_provider_checks_the_numbers() {
        for target in ["", "/", "/%E9%80%80", "/a%2Fb", "/1?sub_mchid="] {
            let target = format!("{REFUND_PATH}{target}");
            let request = get(target.clone(), &PAIR.credentials, stamp());
            let refusal = RefundQuery::decode(&opened(request)).unwrap_err();
            assert_eq!(refusal.code, "PARAM_ERROR", "{target}");
        }
    }
}
