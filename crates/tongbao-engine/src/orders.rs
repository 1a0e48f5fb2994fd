//! Talking to a provider about one order: placing, looking, closing.
//!
//! Nothing here writes; what is learnt goes to `Engine::observe`.

use crate::accounts::Entry;
use crate::{Engine, Error, MoneyMoved, Retry};
use std::sync::Arc;
use tongbao_channels::{Doubt, Order, OrderError, OrderRef, Placing, Refusal, Reply};
use tongbao_core::{
    Attempt, AttemptState, Fact, Loaded, Observation, Payer, ReplyKind, Seen, Source,
};
use tongbao_types::{AccountName, Bug, Code, Provider, Span, is_planted};

/// A provider's clock and ours may be so far apart.
const CLOCKS_DIFFER: Span = Span::from_seconds(300);

/// Whether this is the first time that an order is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Its number has never been sent: if the provider knows it as paid, that was somebody else's
    /// order, such as an older system's, and no payment of this charge.
    First,
    /// What became of an earlier try is not known.
    Again,
}

/// What a talk with the provider about an order or a refund brought.
#[derive(Debug)]
pub(crate) enum Learnt<T = Fact> {
    /// This about it.
    Fact(T),
    /// A no to the question; nothing about it.
    Refused(Refusal),
    /// Nothing.
    Nothing(Doubt),
}

impl Engine {
    /// The account of an attempt, if it is still configured.
    pub(crate) fn account_of(&self, attempt: &Attempt) -> Result<Arc<Entry>, Error> {
        self.account_named(&attempt.account)
    }

    /// The account of an order or a refund, if it is still configured.
    pub(crate) fn account_named(&self, name: &AccountName) -> Result<Arc<Entry>, Error> {
        self.accounts().named(name).cloned().ok_or_else(|| {
            let message = format!(
                "The order was placed with the account {name}, which is no longer configured. Put \
                 it back into the configuration until its orders and refunds have ended."
            );
            Error::new(Code::AccountMissing, message)
        })
    }

    /// Asks about an order; one that may never have reached the provider is placed again, with the
    /// same number and parameters, as the providers want. After its time it is not: a refusal that
    /// only says that it is too late would count as the provider's last word about the order. Nor
    /// is one whose code the merchant scanned, since a code pays once.
    pub(crate) async fn look(&self, account: &Entry, loaded: &Loaded, attempt: &Attempt) -> Learnt {
        let is_over = self.clock().now() >= loaded.charge.expires_at;
        let is_scanned = attempt.channel.is_scanned_by_merchant();
        if attempt.state != AttemptState::Placing || is_over || is_scanned {
            return self.query(account, attempt).await;
        }
        let payer = attempt.payer.as_ref();
        let client_ip = loaded.charge.client_ip.as_deref();
        match self.prepare(account, loaded, attempt, (payer, client_ip)) {
            Ok(placing) => self.place(account, attempt, placing, Placement::Again).await,
            Err(_) => self.query(account, attempt).await,
        }
    }

    /// Makes the order's message, for this payer at this address; nothing is sent yet.
    pub(crate) fn prepare(
        &self,
        account: &Entry,
        loaded: &Loaded,
        attempt: &Attempt,
        (payer, client_ip): (Option<&Payer>, Option<&str>),
    ) -> Result<Placing, OrderError> {
        let charge = &loaded.charge;
        let order = Order {
            charge: charge.id,
            channel: attempt.channel,
            out_trade_no: &attempt.out_trade_no,
            amount: charge.amount,
            subject: &charge.subject,
            body: charge.body.as_deref(),
            attach: charge.attach.as_deref(),
            client_ip,
            payer,
            expires_at: charge.expires_at,
        };
        account.adapter.place(&order, &self.stamp())
    }

    pub(crate) async fn place(
        &self,
        account: &Entry,
        attempt: &Attempt,
        placing: Placing,
        placement: Placement,
    ) -> Learnt {
        let exchange = match placing {
            Placing::Ready(action) => return Learnt::Fact(Fact::Awaiting(Some(action))),
            Placing::Call(exchange) => exchange,
        };
        match self.ask(account, attempt.charge, ReplyKind::Order, &exchange).await {
            Reply::Done(fact) => Learnt::Fact(fact),
            Reply::AskNow(_) if placement == Placement::Again => self.query(account, attempt).await,
            Reply::AskNow(refusal) if attempt.channel.is_scanned_by_merchant() => {
                self.paid_just_now(account, attempt, refusal).await
            }
            Reply::Confirm => self.query(account, attempt).await,
            Reply::Refused(Refusal { code, message })
            | Reply::AskNow(Refusal { code, message }) => {
                Learnt::Fact(Fact::Refused { code, message })
            }
            Reply::Unknown(doubt) if is_planted(Bug::UnknownTakenAsFailed) => {
                Learnt::Fact(Fact::Refused { code: "UNKNOWN".to_owned(), message: doubt.reason })
            }
            Reply::Unknown(doubt) => Learnt::Nothing(doubt),
        }
    }

    /// A code pays at once, and the network may carry its order twice: the second answer says then
    /// that the number is paid. What was paid since the order was written is this order.
    async fn paid_just_now(&self, account: &Entry, attempt: &Attempt, no: Refusal) -> Learnt {
        let is_new = |seen: &Seen| {
            seen.paid_at.is_some_and(|paid_at| paid_at + CLOCKS_DIFFER >= attempt.created_at)
        };
        match self.query(account, attempt).await {
            Learnt::Fact(Fact::Paid(seen)) if is_new(&seen) => Learnt::Fact(Fact::Paid(seen)),
            Learnt::Nothing(doubt) => Learnt::Nothing(doubt),
            _ => Learnt::Fact(Fact::Refused { code: no.code, message: no.message }),
        }
    }

    pub(crate) async fn query(&self, account: &Entry, attempt: &Attempt) -> Learnt {
        let exchange = account.adapter.query(order_of(attempt), &self.stamp());
        self.ask(account, attempt.charge, ReplyKind::Query, &exchange).await.into()
    }

    /// Closes an order at the provider. If the payer was quicker, that is what is learnt.
    pub(crate) async fn close_order(&self, account: &Entry, attempt: &Attempt) -> Learnt {
        let exchange = account.adapter.close(order_of(attempt), &self.stamp());
        match self.ask(account, attempt.charge, ReplyKind::Close, &exchange).await {
            Reply::AskNow(_) if is_planted(Bug::CloseBeforeQuery) => Learnt::Fact(Fact::Closed),
            Reply::AskNow(_) => self.query(account, attempt).await,
            reply => reply.into(),
        }
    }

    /// Puts a fact about an attempt into the words of the core.
    pub(crate) fn observation(attempt: &Attempt, source: Source, fact: Fact) -> Observation {
        Observation {
            account: attempt.account.clone(),
            out_trade_no: attempt.out_trade_no.clone(),
            source,
            fact,
        }
    }
}

/// The attempt's order, as the channels call it.
pub(crate) fn order_of(attempt: &Attempt) -> OrderRef<'_> {
    OrderRef { channel: attempt.channel, out_trade_no: &attempt.out_trade_no }
}

impl<T> Learnt<T> {
    /// Why nothing was learnt, in the words of the error that a caller reads.
    pub(crate) fn into_fact(self, provider: Provider) -> Result<T, Error> {
        match self {
            Learnt::Fact(fact) => Ok(fact),
            Learnt::Refused(Refusal { code, message }) => {
                let text = format!("{provider} refused the request: {code} {message}");
                let error = Error::refused(provider, code, message, text);
                Err(Error { money_moved: MoneyMoved::Unknown, ..error })
            }
            Learnt::Nothing(Doubt { reason, .. }) => {
                let text = format!(
                    "{provider} gave no answer that can be believed ({reason}). Nothing is \
                     decided; the charge is looked after further."
                );
                let error = Error::new(Code::ProviderUnknown, text);
                let retry = Retry::SameRequest;
                Err(Error { money_moved: MoneyMoved::Unknown, retry, ..error })
            }
        }
    }

    /// The same for a log line.
    pub(crate) fn why_nothing(&self) -> Option<String> {
        match self {
            Learnt::Fact(_) => None,
            Learnt::Refused(Refusal { code, message }) => Some(format!("{code} {message}")),
            Learnt::Nothing(doubt) => Some(doubt.reason.clone()),
        }
    }
}

impl<T> From<Reply<T>> for Learnt<T> {
    /// What an answer to a question tells.
    fn from(reply: Reply<T>) -> Learnt<T> {
        match reply {
            Reply::Done(fact) => Learnt::Fact(fact),
            Reply::Refused(refusal) | Reply::AskNow(refusal) => Learnt::Refused(refusal),
            Reply::Confirm => {
                let reason = "the provider agrees without telling how it stands".to_owned();
                Learnt::Nothing(Doubt { reason, keys_may_help: false })
            }
            Reply::Unknown(doubt) => Learnt::Nothing(doubt),
        }
    }
}
