//! `get_pay_request_params`: an order, and what the payer's side hands to WeChat.
//!
//! The charge comes first and its order at WeChat second, so that a refused order does not use the
//! merchant's number up: asked for again, the same `id` gets another order.

use super::{Asked, ErrCode, No, fen, wrong};
use crate::Service;
use crate::fields::Fields;
use crate::orders::{Object, id_of};
use serde_json::Value;
use tongbao_core::{Payer, Scope};
use tongbao_engine::{Expires, NewAttempt, NewCharge};
use tongbao_types::{Code, OrderNo, OutTradeNo, Profile, Span};

/// So long WeChat keeps an order that names no end of its own, as the older service's did.
const PAYABLE_FOR: Span = Span::from_seconds(2 * 3600);

/// What `/v1` takes of a subject, a body and an attach.
const SUBJECT_CHARACTERS_MAX: usize = 127;
const DETAIL_CHARACTERS_MAX: usize = 1000;
const ATTACH_BYTES_MAX: usize = 127;
const OPENID_BYTES_MAX: usize = 128;

impl Service {
    pub(super) async fn pay_request_params(&self, asked: Asked) -> Result<Value, No> {
        let Asked { scope, fields } = asked;
        let serving = self.merchant(scope.mode, &fields)?;
        let channel = serving.env.channel();
        let payer = match serving.env.needs_openid() {
            true => Some(Payer { openid: Some(openid(&fields)?), ..Payer::default() }),
            false => None,
        };
        let new = new_charge(&fields)?;
        let charge = self.charge_to_pay(&scope, new).await?;
        let charge = id_of(&charge).ok_or_else(broken)?;
        let account = Some(serving.account);
        let new = NewAttempt { charge, channel, account, payer, client_ip: None };
        let placed = self.add_attempt(&scope, new).await?;
        match placed.get("action").and_then(|action| action.get("params")) {
            Some(params) => Ok(params.clone()),
            None if placed["status"] == "pending" => {
                let text = "WeChat gave no answer that can be believed. Send the same again.";
                Err(No::new(ErrCode::Unknown, text))
            }
            None => Err(ended(&placed)),
        }
    }

    /// A new charge, or the one that was made for the same order before.
    async fn charge_to_pay(&self, scope: &Scope, new: NewCharge) -> Result<Object, No> {
        let (order_no, amount) = (new.order_no.clone(), new.amount);
        let failure = match self.make_charge(scope, new).await {
            Ok(made) => return Ok(made),
            Err(failure) => failure,
        };
        let Some(order_no) = order_no.filter(|_| failure.is(Code::OrderNoInUse)) else {
            return Err(failure.into());
        };
        let known = self.charge_numbered(scope, order_no.as_str()).await?;
        let Some(known) = known else { return Err(failure.into()) };
        if known["profile"] != Profile::Wepay.as_str() {
            let text =
                format!("The number {order_no} belongs to a charge that was made elsewhere.");
            return Err(No::new(ErrCode::Conflict, text));
        }
        if known["status"] != "pending" {
            return Err(ended(&known));
        }
        if known["amount"] != amount.fen().0 {
            let text = format!("The order {order_no} is there with a fee of {}.", known["amount"]);
            return Err(No::new(ErrCode::Conflict, text));
        }
        Ok(known)
    }
}

fn ended(charge: &Object) -> No {
    let text = |name: &str| charge.get(name).and_then(Value::as_str).unwrap_or_default();
    let advice = match text("status") {
        "succeeded" => "it is paid",
        _ => "nobody can pay it any more; order again under another id",
    };
    No::new(ErrCode::Conflict, format!("The order {} has ended: {advice}.", text("order_no")))
}

fn broken() -> No {
    No::new(ErrCode::Internal, "The charge cannot be read.")
}

fn new_charge(fields: &Fields) -> Result<NewCharge, No> {
    let id = fields.need("id")?;
    let rule = "id is 6 to 32 letters, digits, _, -, | or *, as WeChat takes it.";
    let order_no = OrderNo::new(id).ok().filter(|_| OutTradeNo::fits_wechat(id));
    let attach = fields.get("attach").map(attach).transpose()?;
    Ok(NewCharge {
        order_no: Some(order_no.ok_or_else(|| wrong(rule.to_owned()))?),
        amount: fen(fields, "fee")?,
        subject: text("body", fields.need("body")?, SUBJECT_CHARACTERS_MAX)?,
        body: fields
            .get("detail")
            .map(|detail| text("detail", detail, DETAIL_CHARACTERS_MAX))
            .transpose()?,
        attach,
        return_url: None,
        client_ip: None,
        payer: None,
        metadata: Vec::new(),
        profile: Some(Profile::Wepay),
        channel: None,
        account: None,
        expires: Some(Expires::In(PAYABLE_FOR)),
    })
}

/// Line breaks become blanks, and what is too long is cut off: it is only shown.
fn text(name: &str, value: &str, characters_max: usize) -> Result<String, No> {
    let line = value.replace(['\r', '\n', '\t'], " ");
    let line = line.trim();
    if line.is_empty() {
        return Err(wrong(format!("{name} is blank.")));
    }
    if !line.chars().all(can_be_shown) {
        return Err(wrong(format!("{name} has characters that cannot be shown.")));
    }
    Ok(line.chars().take(characters_max).collect())
}

/// It comes back as it is, so it is not cut.
fn attach(value: &str) -> Result<String, No> {
    if value.len() > ATTACH_BYTES_MAX {
        return Err(wrong(format!("attach has at most {ATTACH_BYTES_MAX} bytes.")));
    }
    if !value.chars().all(can_be_shown) {
        return Err(wrong("attach has characters that cannot be shown.".to_owned()));
    }
    Ok(value.to_owned())
}

/// Not what WeChat's XML cannot carry.
fn can_be_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

fn openid(fields: &Fields) -> Result<String, No> {
    let openid = fields.get("openid").ok_or_else(|| {
        let text = "openid is missing: payments in WeChat pages (H5) and mini programs (WXAPP) \
                    need WeChat's id of the user.";
        wrong(text.to_owned())
    })?;
    let fits = openid.len() <= OPENID_BYTES_MAX && openid.bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(openid.to_owned()) } else { Err(wrong("openid is none of WeChat's.".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, wanted: Result<(), &str>) {
        let fields = Fields::of_json(json).unwrap();
        let found = new_charge(&fields).map(|_| ()).map_err(|no| no.errmsg);
        assert_eq!(found, wanted.map_err(str::to_owned), "{json}");
    }

    #[test]
    fn the_documents_own_example_is_an_order() {
        let fields = Fields::of_json(
            r#"{"id": "5ba27cc3a70db45dd108b53f", "fee": 1200, "attach": "附加数据:福州路店",
                "body": "商品描述:袜子1件+衣服2件", "detail": "商品详情:2019赛季球衣 蓝色 L 高领 2件"}"#,
        );
        let new = new_charge(&fields.unwrap()).unwrap();
        assert_eq!(new.order_no.unwrap().as_str(), "5ba27cc3a70db45dd108b53f");
        assert_eq!(new.amount.fen().0, 1200);
        assert_eq!(new.subject, "商品描述:袜子1件+衣服2件");
        assert_eq!(new.attach.as_deref(), Some("附加数据:福州路店"));
        assert!(new.body.unwrap().ends_with("2件"));
    }

    #[test]
    fn wrong_fields_are_named() {
        let id = "id is 6 to 32 letters, digits, _, -, | or *, as WeChat takes it.";
        check(r#"{"fee": 1, "body": "x"}"#, Err("id is missing."));
        check(r#"{"id": "12345", "fee": 1, "body": "x"}"#, Err(id));
        check(r#"{"id": "'; drop table--", "fee": 1, "body": "x"}"#, Err(id));
        check(r#"{"id": "123456", "fee": 1}"#, Err("body is missing."));
        check(r#"{"id": "123456", "fee": 1, "body": " "}"#, Err("body is blank."));
        let shown = "body has characters that cannot be shown.";
        check(r#"{"id": "123456", "fee": 1, "body": "a\u0007"}"#, Err(shown));
        let attach = "x".repeat(128);
        let long = format!(r#"{{"id": "123456", "fee": 1, "body": "x", "attach": "{attach}"}}"#);
        check(&long, Err("attach has at most 127 bytes."));
        check(r#"{"id": "123456", "fee": "1", "body": "x"}"#, Ok(()));
    }

    #[test]
    fn what_is_only_shown_is_made_to_fit() {
        assert_eq!(text("body", "a\r\nb", 9).unwrap(), "a  b");
        assert_eq!(text("body", &"长".repeat(200), 127).unwrap().chars().count(), 127);
    }
}
