//! A refund of an order that is named by its number at an account, under that same number, as the
//! older services made it; answered in the provider's own words, a no among them.
//!
//! Money that is at the merchant goes back by [`Engine::create_refund`] alone, which reserves it
//! first. A provider is asked for a refund beside that only where nothing can move: a repetition
//! under a number that is used up, and an order that it does not say is paid. See
//! `docs/decisions/0014-why-is-a-refund-sometimes-sent-to-be-refused.md`.

use crate::accounts::Entry;
use crate::notifications::look_at;
use crate::orders::Learnt;
use crate::refunds::refund_order;
use crate::verbatim::order_at;
use crate::writes::Beside;
use crate::{Engine, Error, Heard, NewRefund};
use tongbao_channels::{RefundOrder, Reply};
use tongbao_core::{
    Attempt, AttemptState, Fact, JobChange, Loaded, NewJob, Refund, RefundDraft, RefundFact,
    ReplyKind, Scope, Source,
};
use tongbao_types::{AccountName, Amount, Code, OutRefundNo, OutTradeNo, RefundNo};

/// Which order, and how much of it. The face has checked the form of each part.
#[derive(Debug, Clone)]
pub struct NumberedRefund {
    /// The account that was paid.
    pub account: AccountName,
    /// The order's number there, and the refund's.
    pub number: OutTradeNo,
    /// How much goes back.
    pub amount: Amount,
    /// How much was paid, where the caller says so; a payment of another amount is not touched.
    pub paid: Option<Amount>,
    /// For the payer to read.
    pub reason: Option<String>,
}

impl Engine {
    /// Gives money back, or shows why not.
    pub async fn refund_by_number(
        &self,
        scope: &Scope,
        asked: &NumberedRefund,
    ) -> Result<Heard, Error> {
        let entry = self.account_in(scope, &asked.account)?;
        if let Some(why) = entry.adapter.refund_hindrance() {
            let text = format!("The account {} cannot refund: {why}", asked.account);
            return Err(Error::new(Code::AccountMissing, text));
        }
        let known = self.store().charge_by_out_trade_no(&asked.account, &asked.number).await?;
        match known {
            None => self.refund_of_stranger(&entry, asked).await,
            Some(loaded) if is_paid(order(&loaded, asked)) => {
                self.refund_of_payment(&loaded, asked).await
            }
            Some(loaded) => self.refund_of_unpaid(&entry, loaded, asked).await,
        }
    }

    /// The payment is written here.
    async fn refund_of_payment(
        &self,
        loaded: &Loaded,
        asked: &NumberedRefund,
    ) -> Result<Heard, Error> {
        let attempt = order(loaded, asked);
        check_paid(attempt, asked)?;
        let mut refund_no = refund_no(asked.number.as_str())?;
        if let Some(earlier) = loaded.refunds.iter().find(|one| one.refund_no == refund_no) {
            if earlier.state.reserves() {
                return self.repeat(loaded, earlier, asked).await;
            }
            // It failed for good, and its number is used up here.
            refund_no = next_number(loaded, &refund_no)?;
        }
        let draft = RefundDraft {
            refund_no: Some(refund_no),
            amount: Some(asked.amount),
            attempt: Some(attempt.id),
            reason: asked.reason.clone(),
            metadata: Vec::new(),
        };
        let since = self.clock().now();
        let (scope, charge) = (&loaded.charge.scope, loaded.charge.id);
        let now = self.refund_now(scope, NewRefund { charge, draft }).await?;
        let words = self.words_since(&now, ReplyKind::Refund, since).await?;
        Ok(words.map_or_else(on_its_way, Heard::Words))
    }

    /// The very same exchange once more, with the number and the amount that are reserved: it
    /// moves no money a second time.
    async fn repeat(
        &self,
        loaded: &Loaded,
        refund: &Refund,
        asked: &NumberedRefund,
    ) -> Result<Heard, Error> {
        if refund.amount != asked.amount || refund.account != asked.account {
            let message = format!(
                "There is a refund under the number {} already, of {} fen.",
                refund.refund_no,
                refund.amount.fen().0
            );
            return Err(Error::new(Code::RefundNoInUse, message));
        }
        let account = self.account_named(&refund.account)?;
        let again = refund_order(loaded, refund).ok_or_else(nothing_paid)?;
        let exchange = account.adapter.refund(&again, &self.stamp());
        let (reply, heard) = self.hear(&account, &exchange).await;
        if refund.state.is_pending() {
            // A no to a repetition tells nothing; the job asks.
            self.write_jobs(vec![self.look_soon(refund)], None).await?;
            if let Reply::Done(
                fact @ (RefundFact::Succeeded { .. } | RefundFact::Processing { .. }),
            ) = reply
            {
                let id = refund.id;
                self.conclude_refund(loaded.clone(), id, &fact, &Beside::default()).await?;
            }
        }
        Ok(heard)
    }

    /// The order is a charge that is not paid as far as is known here.
    async fn refund_of_unpaid(
        &self,
        entry: &Entry,
        loaded: Loaded,
        asked: &NumberedRefund,
    ) -> Result<Heard, Error> {
        let (now, fact) = match self.learn(entry, loaded, asked).await? {
            Ok(learnt) => learnt,
            Err(silence) => return Ok(silence),
        };
        if is_paid(order(&now, asked)) {
            return self.refund_of_payment(&now, asked).await;
        }
        if matches!(fact, Fact::Paid(_)) {
            return Err(nothing_paid());
        }
        // Somebody may pay in this very moment, and then the provider may even agree. Whoever dies
        // after this line leaves a look behind that finds the payment.
        self.promise_look(order(&now, asked)).await?;
        let (reply, heard) = self.send_verbatim(entry, asked).await?;
        if is_no(&reply) {
            return Ok(heard);
        }
        tracing::warn!(charge.id = %now.charge.id, "a refund of an unpaid order was not refused");
        self.adopt(entry, now, asked, heard).await
    }

    /// A provider that did not refuse knows of a payment that was not here. It is written, and the
    /// refund with it, under the number that was sent.
    async fn adopt(
        &self,
        entry: &Entry,
        loaded: Loaded,
        asked: &NumberedRefund,
        heard: Heard,
    ) -> Result<Heard, Error> {
        let Ok((now, _)) = self.learn(entry, loaded, asked).await? else { return Ok(heard) };
        if !is_paid(order(&now, asked)) {
            return Ok(heard);
        }
        let again = self.refund_of_payment(&now, asked).await?;
        Ok(if matches!(heard, Heard::Words(_)) { heard } else { again })
    }

    /// Asks about the order, and writes what is learnt. The inner error: there was no answer.
    async fn learn(
        &self,
        entry: &Entry,
        loaded: Loaded,
        asked: &NumberedRefund,
    ) -> Result<Result<(Loaded, Fact), Heard>, Error> {
        let attempt = order(&loaded, asked).clone();
        let learnt = self.query(entry, &attempt).await;
        let why = learnt.why_nothing().unwrap_or_default();
        let Learnt::Fact(fact) = learnt else { return Ok(Err(Heard::Silence(why))) };
        let observation = Self::observation(&attempt, Source::Sync, fact.clone());
        match self.conclude(loaded, attempt.id, &observation, &Beside::default()).await? {
            Some(now) => Ok(Ok((now, fact))),
            None => {
                let why = "the provider's answer contradicts the order; see the charge".to_owned();
                Ok(Err(Heard::Silence(why)))
            }
        }
    }

    async fn promise_look(&self, attempt: &Attempt) -> Result<(), Error> {
        let Some(kind) = look_at(attempt) else { return Ok(()) };
        let mut mint = self.mint();
        let run_at = mint.now() + self.call_timeout().times(2);
        let look = JobChange::Hasten(NewJob { id: mint.id(), kind, run_at });
        self.write_jobs(vec![look], None).await
    }

    /// The order is no charge here. One that is paid stays as it is: a refund that is written
    /// nowhere would be made once more by whoever finds it missing.
    async fn refund_of_stranger(
        &self,
        entry: &Entry,
        asked: &NumberedRefund,
    ) -> Result<Heard, Error> {
        let (reply, heard) = self.query_verbatim(entry, &asked.number).await;
        match reply {
            Reply::Done(Fact::Paid(_)) => Err(not_ours(&asked.number)),
            Reply::Done(_) => {
                let (reply, heard) = self.send_verbatim(entry, asked).await?;
                if !is_no(&reply) {
                    let number = asked.number.as_str();
                    tracing::error!(number, "a refund of an unknown order was not refused");
                }
                Ok(heard)
            }
            _ => Ok(heard),
        }
    }

    /// Sends a refund that is not written, of an order that the provider did not say is paid.
    async fn send_verbatim(
        &self,
        entry: &Entry,
        asked: &NumberedRefund,
    ) -> Result<(Reply<RefundFact>, Heard), Error> {
        let out_refund_no = OutRefundNo::new(asked.number.as_str()).map_err(wrong_number)?;
        let refund = RefundOrder {
            order: order_at(entry, &asked.number),
            paid: asked.paid.unwrap_or(asked.amount).fen(),
            out_refund_no: &out_refund_no,
            amount: asked.amount,
            reason: asked.reason.as_deref(),
        };
        let exchange = entry.adapter.refund(&refund, &self.stamp());
        Ok(self.hear(entry, &exchange).await)
    }
}

/// The order by which the charge was found.
fn order<'a>(loaded: &'a Loaded, asked: &NumberedRefund) -> &'a Attempt {
    let is_it = |attempt: &&Attempt| {
        attempt.account == asked.account && attempt.out_trade_no == asked.number
    };
    loaded.attempts.iter().find(is_it).expect("the charge was found by this order")
}

fn is_paid(attempt: &Attempt) -> bool {
    matches!(attempt.state, AttemptState::Succeeded { .. })
}

/// The provider said no, and no money moved.
fn is_no(reply: &Reply<RefundFact>) -> bool {
    match reply {
        Reply::Refused(_) | Reply::AskNow(_) => true,
        Reply::Done(fact) => {
            matches!(fact, RefundFact::Refused { .. } | RefundFact::NotNow { .. })
        }
        Reply::Confirm | Reply::Unknown(_) => false,
    }
}

fn check_paid(attempt: &Attempt, asked: &NumberedRefund) -> Result<(), Error> {
    let AttemptState::Succeeded { amount, .. } = attempt.state else { return Err(nothing_paid()) };
    match asked.paid {
        Some(paid) if paid.fen() != amount => {
            let (paid, amount) = (paid.fen().0, amount.0);
            let message = format!("The order is of {amount} fen, and the request says {paid}.");
            Err(Error::new(Code::InvalidParameter, message))
        }
        _ => Ok(()),
    }
}

fn refund_no(text: &str) -> Result<RefundNo, Error> {
    RefundNo::new(text).map_err(wrong_number)
}

/// The first of `…R2`, `…R3` and so on that the charge's refunds leave free.
fn next_number(loaded: &Loaded, first: &RefundNo) -> Result<RefundNo, Error> {
    let mut n = 2;
    loop {
        let next = refund_no(&format!("{first}R{n}"))?;
        if loaded.refunds.iter().all(|refund| refund.refund_no != next) {
            return Ok(next);
        }
        n += 1;
    }
}

fn on_its_way() -> Heard {
    let why = "the refund is recorded, and the provider is asked about it until it has an end; do \
               not refund in another way";
    Heard::Silence(why.to_owned())
}

fn nothing_paid() -> Error {
    Error::new(Code::NothingToRefund, "There is no payment to refund.")
}

fn wrong_number(rule: tongbao_types::NumberError) -> Error {
    Error::new(Code::InvalidParameter, format!("The number cannot be a refund's: {rule}."))
}

fn not_ours(number: &OutTradeNo) -> Error {
    let message = format!(
        "The order {number} is paid, but it was not made by tongbao, so its money is not accounted \
         for here. Bring it in with tongbao import orders, or refund it where it was made."
    );
    Error::new(Code::NotFound, message)
}
