//! What the profiles ask of the engine, in one place: making charges and refunds, finding a charge
//! by the number that a profile gave out, and the provider's own words about it.

use crate::Service;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tongbao_core::{ProviderReply, ReplyKind, Scope};
use tongbao_engine::{ChargeFilter, Error, NewAttempt, NewCharge, NewRefund, Page};
use tongbao_types::{ChargeId, Code, OrderNo, Timestamp};

/// A charge or a refund as `/v1` shows it.
pub(crate) type Object = Map<String, Value>;

/// Why something was not made, with what the provider said if it was the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// Our code, such as `order_no_in_use`.
    pub(crate) code: String,
    /// For people.
    pub(crate) message: String,
    /// The provider's own code and words, if it said no.
    pub(crate) provider: Option<(String, String)>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        let said = error.provider.as_ref();
        Failure {
            code: error.code.as_str().to_owned(),
            message: error.message.clone(),
            provider: said.map(|said| (said.code.clone(), said.message.clone())),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::from(&error)
    }
}

impl Failure {
    /// Whether it is this of our codes.
    pub(crate) fn is(&self, code: Code) -> bool {
        self.code == code.as_str()
    }
}

const MADE: u16 = 201;
const NOT_MADE: u16 = 400;

/// Carries an outcome through a reply: the engine writes replies, and a profile needs the value.
fn render(outcome: Result<&str, &Error>) -> (u16, String) {
    match outcome {
        Ok(object) => (MADE, object.to_owned()),
        Err(error) => {
            let failure = serde_json::to_string(&Failure::from(error));
            (NOT_MADE, failure.expect("texts become JSON"))
        }
    }
}

fn outcome((status, body): (u16, &str)) -> Result<Object, Failure> {
    if status == MADE {
        return Ok(serde_json::from_str(body).expect("the engine writes JSON objects"));
    }
    Err(serde_json::from_str(body).expect("it was written by `render`"))
}

impl Service {
    /// Makes a charge and places its order.
    pub(crate) async fn make_charge(
        &self,
        scope: &Scope,
        new: NewCharge,
    ) -> Result<Object, Failure> {
        let reply = self.engine.create_charge(scope, new, None, render).await;
        outcome((reply.status, &reply.body))
    }

    /// Lets a charge be paid through another channel, and shows it as its order there has it.
    pub(crate) async fn add_attempt(
        &self,
        scope: &Scope,
        new: NewAttempt,
    ) -> Result<Object, Failure> {
        let reply = self.engine.add_attempt(scope, new, None, render).await;
        outcome((reply.status, &reply.body))
    }

    /// Makes a refund and sends it.
    pub(crate) async fn make_refund(
        &self,
        scope: &Scope,
        new: NewRefund,
    ) -> Result<Object, Failure> {
        let reply = self.engine.create_refund(scope, new, None, render).await;
        outcome((reply.status, &reply.body))
    }

    /// The charge of a number that this profile gave out, if there is one; through whichever face
    /// it was made.
    pub(crate) async fn charge_numbered(
        &self,
        scope: &Scope,
        number: &str,
    ) -> Result<Option<Object>, Error> {
        let Ok(order_no) = OrderNo::new(number.to_owned()) else { return Ok(None) };
        let filter = ChargeFilter { order_no: Some(order_no), ..ChargeFilter::default() };
        let page = Page { limit: 1, starting_after: None, ending_before: None };
        let found = self.engine.charges(scope, &filter, page).await?;
        Ok(found.data.first().map(object))
    }

    /// What the provider last said of this kind about a charge, in its own words.
    pub(crate) async fn words(
        &self,
        scope: &Scope,
        charge: ChargeId,
        kind: ReplyKind,
    ) -> Result<Option<Object>, Error> {
        self.words_since(scope, charge, kind, None).await
    }

    /// Asks the provider how a charge's order stands, and gives its answer in its own words; none,
    /// if it gave none that can be believed. An older answer is not shown as the one to this
    /// question.
    pub(crate) async fn ask_in_words(
        &self,
        scope: &Scope,
        charge: ChargeId,
    ) -> Result<Option<Object>, Error> {
        let asked_at = self.engine.now();
        match self.engine.sync_charge(scope, charge).await {
            Ok(_) => {}
            Err(error) if error.provider.is_some() => {}
            Err(error) if error.code == Code::ProviderUnknown => return Ok(None),
            Err(error) => return Err(error),
        }
        self.words_since(scope, charge, ReplyKind::Query, Some(asked_at)).await
    }

    async fn words_since(
        &self,
        scope: &Scope,
        charge: ChargeId,
        kind: ReplyKind,
        since: Option<Timestamp>,
    ) -> Result<Option<Object>, Error> {
        let replies = self.engine.provider_replies(scope, charge).await?;
        Ok(words_of(&replies, kind, since))
    }
}

/// The words of this kind, if they came then or later.
fn words_of(
    replies: &[ProviderReply],
    kind: ReplyKind,
    since: Option<Timestamp>,
) -> Option<Object> {
    let is_it = |reply: &&ProviderReply| reply.kind == kind && Some(reply.at) >= since;
    replies.iter().find(is_it).and_then(|reply| serde_json::from_str(&reply.body).ok())
}

/// A number of a moment and a few digits may have been given out already; then another is made. So
/// often, and then something else is wrong.
const NUMBERS_MAX: usize = 8;

/// Makes something under a number of its own, which `make` draws anew each time.
pub(crate) async fn under_a_new_number<T, F>(make: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    for _ in 1..NUMBERS_MAX {
        match make().await {
            Err(failure) if failure.is(Code::OrderNoInUse) => {}
            made => return made,
        }
    }
    make().await
}

/// A view as the JSON object that `/v1` shows.
pub(crate) fn object(view: &impl Serialize) -> Object {
    match serde_json::to_value(view) {
        Ok(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

/// The id of a charge's object.
pub(crate) fn id_of(charge: &Object) -> Option<ChargeId> {
    charge.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok())
}

/// What is drawn as a code for the payer, if the order's answer told it.
pub(crate) fn code_url(charge: &Object) -> Option<&str> {
    charge.get("action")?.get("code_url")?.as_str()
}

/// A field of a provider's words, if it is there and a text.
pub(crate) fn word<'a>(words: &'a Object, name: &str) -> Option<&'a str> {
    words.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tongbao_types::Mint;

    #[test]
    fn an_answer_from_before_the_question_is_not_shown() {
        let at = Timestamp::from_seconds(100);
        let charge = Mint::new(at, [7; 10]).id();
        let body = r#"{"trade_state":"NOTPAY"}"#.to_owned();
        let replies = [ProviderReply { charge, kind: ReplyKind::Query, body, at }];
        let state = |kind, since: Option<i64>| {
            let words = words_of(&replies, kind, since.map(Timestamp::from_seconds))?;
            word(&words, "trade_state").map(str::to_owned)
        };
        assert_eq!(state(ReplyKind::Query, None).as_deref(), Some("NOTPAY"));
        assert_eq!(state(ReplyKind::Query, Some(100)).as_deref(), Some("NOTPAY"));
        assert_eq!(state(ReplyKind::Query, Some(101)), None);
        assert_eq!(state(ReplyKind::Order, None), None);
    }

    /// How often it is tried when the first `n_taken` numbers are in use, and what comes of it.
    async fn tries(n_taken: usize, code: Code) -> (usize, Result<(), String>) {
        let n_tries = Cell::new(0);
        let made = under_a_new_number(|| {
            n_tries.set(n_tries.get() + 1);
            let is_free = n_tries.get() > n_taken;
            let error = Error::new(code, "no");
            std::future::ready(if is_free { Ok(()) } else { Err(error.into()) })
        });
        let made = made.await.map_err(|failure| failure.code);
        (n_tries.get(), made)
    }

    #[tokio::test]
    async fn a_number_in_use_is_not_given_out_again() {
        let taken = Code::OrderNoInUse;
        assert_eq!(tries(0, taken).await, (1, Ok(())));
        assert_eq!(tries(3, taken).await, (4, Ok(())));
        assert_eq!(tries(99, taken).await, (8, Err("order_no_in_use".to_owned())));
        let refused = Err("provider_refused".to_owned());
        assert_eq!(tries(99, Code::ProviderRefused).await, (1, refused));
    }
}
