//! Payment notification (微信支付 API v2, 支付结果通知).
//!
//! Checked in this order: size, syntax, signature by the account's own method, that the signature
//! is of this message alone, merchant number and app id, then the typed fields. The amount is
//! compared where the order is known, not here.
//! v2 notifications bear no time, so there is no age to check: a replay is found by its number.

use super::envelope::{CONTENT_TYPE, check_identity, communication_failure, need, post};
use super::query::{read_trade, set_paid};
use super::sign::{ambiguous_field, sign, verify};
use crate::account::{Merchant, SignType, V2Credentials};
use crate::error::NoticeError;
use crate::notice::{Notification, Verified};
use crate::trade::{Trade, TradeState};
use crate::xml::Fields;
use tongbao_types::{Bug, HttpRequest, HttpResponse, Secret, is_planted};

/// Verifies a notification for this account.
pub fn receive(
    credentials: &V2Credentials,
    request: &HttpRequest,
) -> Result<Verified<Notification>, NoticeError> {
    let fields = Fields::parse(&request.body)?;
    if !is_planted(Bug::VerifySkipped) {
        verify(&fields, credentials.key(), credentials.sign_type())?;
    }
    if let Some(name) = ambiguous_field(&fields) {
        return Err(NoticeError::Ambiguous(name.chars().take(80).collect()));
    }
    if let Err(mismatch) = check_identity(&fields, credentials.merchant()) {
        let out_trade_no = fields.get("out_trade_no").unwrap_or("").to_owned();
        return Err(NoticeError::Account { mismatch, out_trade_no });
    }
    let succeeded = |name| fields.text(name) == Some("SUCCESS");
    let state = if succeeded("return_code") && succeeded("result_code") {
        TradeState::Success
    } else {
        TradeState::PayError
    };
    let trade = read_trade(&fields, state)?;
    let id = match &trade.paid {
        Some(paid) => paid.transaction_id.clone(),
        None => need(&fields, "transaction_id")?.to_owned(),
    };
    Ok(Verified::new(Notification { id, event_type: None, trade }))
}

/// Which order a notification says it is about, before anything is verified: only good for filing
/// the reason of a refusal.
pub fn claimed_out_trade_no(request: &HttpRequest) -> Option<String> {
    let fields = Fields::parse(&request.body).ok()?;
    fields.text("out_trade_no").filter(|number| number.len() <= 32).map(str::to_owned)
}

/// The answer after the news is kept safe: WeChat stops sending it.
pub fn accept() -> HttpResponse {
    let mut fields = Fields::new();
    fields.set("return_code", "SUCCESS");
    fields.set("return_msg", "OK");
    HttpResponse::new(200, CONTENT_TYPE, fields.to_xml())
}

/// The answer to what is not believed or could not be kept: WeChat sends it again.
pub fn refuse(message: &str) -> HttpResponse {
    communication_failure(message)
}

/// What the provider sends: a trade's news to its merchant.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// Whose order it is.
    pub merchant: &'a Merchant,
    /// The trade; only paid ones are notified.
    pub trade: &'a Trade,
    /// How the order was signed.
    pub sign_type: SignType,
    /// Fresh randomness.
    pub nonce: &'a str,
}

/// The provider's request to `target`, the path and query of the order's `notify_url`.
pub fn encode_notice(notice: &Notice<'_>, target: &str, key: &Secret<String>) -> HttpRequest {
    let mut fields = Fields::new();
    let merchant = notice.merchant;
    fields.set("appid", &merchant.app_id);
    fields.set("mch_id", &merchant.mch_id);
    fields.set_some("sub_appid", merchant.sub_app_id.as_deref());
    fields.set_some("sub_mch_id", merchant.sub_mch_id.as_deref());
    fields.set("nonce_str", notice.nonce);
    fields.set("return_code", "SUCCESS");
    fields.set("result_code", if notice.trade.state.is_paid() { "SUCCESS" } else { "FAIL" });
    match &notice.trade.paid {
        Some(paid) => set_paid(&mut fields, notice.trade, paid),
        None => fields.set("out_trade_no", &notice.trade.out_trade_no),
    }
    // Receivers take MD5 unless told otherwise.
    if notice.sign_type == SignType::HmacSha256 {
        fields.set("sign_type", notice.sign_type.as_str());
    }
    fields.set("sign", sign(&fields, key, notice.sign_type));
    post(target, &fields)
}

/// Whether a merchant's answer ends the notification: HTTP 200 and `return_code` SUCCESS.
pub fn is_accepted(response: &HttpResponse) -> bool {
    let fields = Fields::parse(&response.body).unwrap_or_default();
    response.status == 200 && fields.text("return_code") == Some("SUCCESS")
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::credentials;
    use super::super::query::tests::trade;
    use super::*;
    use crate::error::SignatureError;

    fn notice(sign_type: SignType) -> HttpRequest {
        let credentials = credentials(sign_type);
        let trade = trade(TradeState::Success);
        let notice =
            Notice { merchant: credentials.merchant(), trade: &trade, sign_type, nonce: "n" };
        encode_notice(&notice, "/notify/wechat/a?x=1", credentials.key())
    }

    /// Changes a genuine notification, signs it again if asked, and reads it.
    fn altered(name: &str, text: &str, again: bool) -> Result<Verified<Notification>, NoticeError> {
        let credentials = credentials(SignType::Md5);
        let mut request = notice(SignType::Md5);
        let mut fields = Fields::parse(&request.body).unwrap();
        fields.set(name, text);
        if again {
            fields.set("sign", sign(&fields, credentials.key(), SignType::Md5));
        }
        request.body = fields.to_xml().into();
        receive(&credentials, &request)
    }

    #[test]
    fn genuine_notifications_are_read_with_both_methods() {
        for sign_type in [SignType::Md5, SignType::HmacSha256] {
            let request = notice(sign_type);
            let verified = receive(&credentials(sign_type), &request).unwrap();
            let news = verified.into_value();
            assert_eq!(news.trade, trade(TradeState::Success));
            assert_eq!(news.id, "4200000263201902167700136502");
            assert_eq!(claimed_out_trade_no(&request).as_deref(), Some("20180821665587"));
            assert_eq!(request.target, "/notify/wechat/a?x=1");
            let named = Fields::parse(&request.body).unwrap().text("sign_type").map(str::to_owned);
            let wanted = (sign_type == SignType::HmacSha256).then(|| "HMAC-SHA256".to_owned());
            assert_eq!(named, wanted, "receivers take MD5 unless told otherwise");
        }
    }

    #[test]
    fn forgeries_are_refused() {
        let mismatch = Err(SignatureError::Mismatch.into());
        assert_eq!(altered("total_fee", "1", false), mismatch);
        assert_eq!(altered("surprise", "1", false), mismatch);
        assert_eq!(altered("sign", "", false), Err(SignatureError::Missing("sign").into()));
        let md5 = notice(SignType::Md5);
        let hmac = credentials(SignType::HmacSha256);
        let downgraded = receive(&hmac, &md5).unwrap_err();
        assert_eq!(downgraded.code(), tongbao_types::Code::SignatureDowngraded);
        assert!(receive(&credentials(SignType::Md5), &notice(SignType::HmacSha256)).is_err());
    }

    /// Whoever saw a genuine notification could let a field begin or end elsewhere.
    #[test]
    fn a_signature_that_fits_two_messages_proves_none() {
        let text = "x&out_trade_no=other";
        let error = altered("attach", text, true).unwrap_err();
        assert_eq!(error, NoticeError::Ambiguous("attach".to_owned()));
        assert_eq!(error.code(), tongbao_types::Code::NoticeMalformed);
        assert!(altered("attach", "out_trade_no=1&x=2&openid=3&total_fee", true).is_ok());
    }

    #[test]
    fn a_notification_for_somebody_else_is_refused_with_its_order() {
        for name in ["appid", "mch_id", "sub_mch_id"] {
            let error = altered(name, "wx1", true).unwrap_err();
            assert_eq!(error.code(), tongbao_types::Code::AccountMismatch);
            assert_eq!(error.out_trade_no(), Some("20180821665587"));
        }
    }

    #[test]
    fn checks_come_in_their_order() {
        // A message that is wrong in everything is told by the first check that it fails.
        let mut request = notice(SignType::Md5);
        let credentials = credentials(SignType::Md5);
        let fails = |request: &HttpRequest| receive(&credentials, request).unwrap_err();
        let bad = "<xml><appid>wx2</appid><total_fee>x</total_fee><sign>0</sign>";
        request.body = format!("{bad}{}", " ".repeat(70_000)).into();
        assert_eq!(fails(&request), NoticeError::TooLarge);
        request.body = bad.to_owned().into();
        assert!(matches!(fails(&request), NoticeError::Malformed(_)));
        request.body = format!("{bad}</xml>").into();
        assert_eq!(fails(&request), SignatureError::Mismatch.into());
        let mut fields = Fields::parse(&request.body).unwrap();
        fields.set("sign", sign(&fields, credentials.key(), SignType::Md5));
        request.body = fields.to_xml().into();
        assert!(matches!(fails(&request), NoticeError::Account { .. }));
        assert!(matches!(altered("total_fee", "x", true), Err(NoticeError::Field(_))));
    }

    #[test]
    fn entity_tricks_are_refused_as_malformed() {
        let bomb =
            "<!DOCTYPE x [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><xml><sign>&b;</sign></xml>";
        for body in
            [bomb, "<!DOCTYPE x SYSTEM \"http://127.0.0.1/x\"><xml/>", "<xml><a>&b;</a></xml>"]
        {
            let mut request = notice(SignType::Md5);
            request.body = body.to_owned().into();
            let error = receive(&credentials(SignType::Md5), &request).unwrap_err();
            assert!(matches!(error, NoticeError::Malformed(_)), "{error:?}");
        }
    }

    #[test]
    fn a_failed_payment_is_no_payment() {
        let verified = altered("result_code", "FAIL", true).unwrap();
        assert_eq!(verified.value().trade.state, TradeState::PayError);
        assert_eq!(verified.value().trade.paid, None);
    }

    #[test]
    fn answers_are_understood_by_the_provider() {
        assert!(is_accepted(&accept()));
        assert!(!is_accepted(&refuse("签名错误")));
        assert_eq!(refuse("x").status, 200);
        assert!(!is_accepted(&HttpResponse::new(200, "text/plain", "success")));
        assert!(!is_accepted(&HttpResponse { status: 500, ..accept() }));
        let wanted = "<xml><return_code><![CDATA[SUCCESS]]></return_code>\
                      <return_msg><![CDATA[OK]]></return_msg></xml>";
        assert_eq!(accept().body, wanted);
    }
}
