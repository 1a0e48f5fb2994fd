//! `refund`: gives back a payment or a part of it, under the merchant's own number.
//!
//! The same number again moves no money a second time, as it was at WeChat: it gets the refund that
//! is there. The sum of all refunds never exceeds the payment; the engine holds that.

use super::{Asked, ErrCode, No, fen, wrong};
use crate::Service;
use crate::orders::{Failure, Object, id_of, object};
use serde_json::{Map, Value, json};
use tongbao_core::{RefundDraft, ReplyKind, Scope};
use tongbao_engine::{NewRefund, Page, RefundFilter};
use tongbao_types::{Amount, ChargeId, Code, OutRefundNo, RefundNo};

/// A request, checked.
struct Wanted {
    charge: Object,
    id: ChargeId,
    refund_no: RefundNo,
    amount: Amount,
}

impl Service {
    pub(super) async fn refund_in_part(&self, asked: Asked) -> Result<Value, No> {
        let wanted = self.wanted_refund(&asked).await?;
        let scope = &asked.scope;
        if let Some(earlier) = self.refund_numbered(scope, &wanted.refund_no).await? {
            return self.tell_refund(scope, &wanted, &earlier).await;
        }
        let draft = RefundDraft {
            refund_no: Some(wanted.refund_no.clone()),
            amount: Some(wanted.amount),
            attempt: None,
            reason: None,
            metadata: Vec::new(),
        };
        let failure = match self.make_refund(scope, NewRefund { charge: wanted.id, draft }).await {
            Ok(made) => return self.tell_refund(scope, &wanted, &made).await,
            Err(failure) => failure,
        };
        // The same request may have been quicker, on another connection.
        let may_be_there = failure.provider.is_none();
        match self.refund_numbered(scope, &wanted.refund_no).await?.filter(|_| may_be_there) {
            Some(earlier) => self.tell_refund(scope, &wanted, &earlier).await,
            None => Err(not_made(failure)),
        }
    }

    async fn wanted_refund(&self, Asked { scope, fields }: &Asked) -> Result<Wanted, No> {
        let number = fields.need("out_trade_no")?;
        let refund_no = fields.need("out_refund_no")?;
        let rule = "out_refund_no is 1 to 64 letters, digits, _, -, |, * or @, as WeChat takes it.";
        let (total, amount) = (fen(fields, "total_fee")?, fen(fields, "refund_fee")?);
        let refund_no =
            RefundNo::new(refund_no).ok().filter(|_| OutRefundNo::fits_wechat(refund_no));
        let refund_no = refund_no.ok_or_else(|| wrong(rule.to_owned()))?;
        let missing = || No::new(ErrCode::NotFound, format!("There is no order {number}."));
        let charge = self.charge_numbered(scope, number).await?.ok_or_else(missing)?;
        let id = id_of(&charge).ok_or_else(missing)?;
        // WeChat may know of a payment that nobody has told us about yet.
        let charge = match charge["status"] == "pending" {
            true => self.engine.sync_charge(scope, id).await.map_or(charge, |now| object(&now)),
            false => charge,
        };
        if charge["amount"] != total.fen().0 {
            let text = format!("total_fee of the order {number} is {}.", charge["amount"]);
            return Err(wrong(text));
        }
        if amount > total {
            return Err(wrong("refund_fee is larger than total_fee.".to_owned()));
        }
        Ok(Wanted { charge, id, refund_no, amount })
    }

    async fn refund_numbered(
        &self,
        scope: &Scope,
        number: &RefundNo,
    ) -> Result<Option<Object>, No> {
        let filter = RefundFilter { refund_no: Some(number.clone()), ..RefundFilter::default() };
        let page = Page { limit: 1, starting_after: None, ending_before: None };
        let found = self.engine.refunds(scope, &filter, page).await?;
        Ok(found.data.first().map(object))
    }

    /// A refund that is there, as the answer to a request for it.
    async fn tell_refund(
        &self,
        scope: &Scope,
        wanted: &Wanted,
        refund: &Object,
    ) -> Result<Value, No> {
        let is_same =
            refund["charge"] == wanted.id.to_string() && refund["amount"] == wanted.amount.fen().0;
        if !is_same {
            let text =
                format!("The number {} belongs to another refund.", wanted.refund_no.as_str());
            return Err(No::new(ErrCode::Conflict, text));
        }
        match refund["status"].as_str() {
            Some("succeeded") => {}
            // It has WeChat's number once WeChat has taken it on.
            Some("pending") if !refund["provider_refund_no"].is_null() => {}
            Some("pending") => {
                let text = "WeChat gave no answer that can be believed. The refund is kept and is \
                            asked about; send the same again to see how it stands.";
                return Err(No::new(ErrCode::Unknown, text));
            }
            _ => return Err(failed(refund)),
        }
        let words = self.words(scope, wanted.id, ReplyKind::Refund).await?;
        Ok(Value::Object(told(&wanted.charge, refund, words)))
    }
}

fn failed(refund: &Object) -> No {
    let part = |name: &str| refund["failure"][name].as_str().unwrap_or_default();
    let text = format!(
        "This refund has failed ({} {}). To try again, take another out_refund_no.",
        part("provider_code"),
        part("message")
    );
    No::new(ErrCode::Refused, text)
}

fn not_made(failure: Failure) -> No {
    let lacks_certificate = failure.is(Code::AccountMissing);
    let no = No::from(failure);
    if !lacks_certificate {
        return no;
    }
    No { errmsg: format!("{} In wepay's config.json that is pfx.", no.errmsg), ..no }
}

/// WeChat's own words if they are about this refund, else the same fields from what is kept. The
/// order's number is the merchant's.
fn told(charge: &Object, refund: &Object, words: Option<Object>) -> Object {
    let about_it = |words: &Object| {
        words.get("out_refund_no") == refund.get("out_refund_no")
            && words.get("result_code").is_some_and(|code| code == "SUCCESS")
    };
    let kept = || {
        let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let fields = [
            ("return_code", json!("SUCCESS")),
            ("result_code", json!("SUCCESS")),
            ("transaction_id", charge["provider_trade_no"].clone()),
            ("out_refund_no", refund["out_refund_no"].clone()),
            ("refund_id", refund["provider_refund_no"].clone()),
            ("total_fee", charge["amount"].clone()),
            ("refund_fee", refund["amount"].clone()),
        ];
        let known = fields.iter().filter(|(_, value)| !value.is_null());
        known.map(|(name, value)| ((*name).to_owned(), json!(text(value)))).collect()
    };
    let mut told: Map<String, Value> = words.filter(about_it).unwrap_or_else(kept);
    told.insert("out_trade_no".to_owned(), charge["order_no"].clone());
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn words_about_another_refund_are_not_shown() {
        let charge = json!({"order_no": "order1", "amount": 1200, "provider_trade_no": "42"});
        let refund = json!({"out_refund_no": "r2", "amount": 500, "provider_refund_no": null});
        let words = json!({"out_refund_no": "r1", "result_code": "SUCCESS", "refund_fee": "700"});
        let (charge, refund, words) = (object(charge), object(refund), object(words));
        let mine = told(&charge, &refund, Some(words.clone()));
        assert_eq!((&mine["refund_fee"], &mine["out_refund_no"]), (&json!("500"), &json!("r2")));
        assert!(!mine.contains_key("refund_id"));
        let other = Object::from_iter([("out_refund_no".to_owned(), json!("r1"))]);
        let other = Object::from_iter(refund.into_iter().chain(other));
        assert_eq!(told(&charge, &other, Some(words))["refund_fee"], "700");
    }
}
