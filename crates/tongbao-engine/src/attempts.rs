//! Talking to a provider about one order: placing, looking, closing.
//!
//! Nothing here writes; what is learnt goes to `Engine::observe`.

use crate::accounts::Entry;
use crate::{Engine, Error, ProviderError};
use std::sync::Arc;
use tongbao_channels::{Doubt, Order, OrderError, Placing, Refusal, Reply};
use tongbao_core::{Attempt, AttemptState, Fact, Loaded, Observation, Payer, Source};
use tongbao_types::{Code, Provider};

/// Whether this is the first time that an order is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Its number has never been sent: if the provider knows it as paid, that was somebody else's
    /// order, such as an older system's, and no payment of this charge.
    First,
    /// What became of an earlier try is not known.
    Again,
}

/// What a talk with the provider brought.
#[derive(Debug)]
pub(crate) enum Learnt {
    /// This about the order.
    Fact(Fact),
    /// A no to the question; nothing about the order.
    Refused(Refusal),
    /// Nothing.
    Nothing(Doubt),
}

impl Engine {
    /// The account of an attempt, if it is still configured.
    pub(crate) fn account_of(&self, attempt: &Attempt) -> Result<Arc<Entry>, Error> {
        self.accounts().named(&attempt.account).cloned().ok_or_else(|| {
            let message = format!(
                "The order was placed with the account {}, which is no longer configured. Put it \
                 back into the configuration until its orders have ended.",
                attempt.account
            );
            Error::new(Code::AccountMissing, message)
        })
    }

    /// Asks about an order; one that may never have reached the provider is placed again, with the
    /// same number and parameters, as the providers want. After its time it is not: a refusal that
    /// only says that it is too late would count as the provider's last word about the order.
    pub(crate) async fn look(&self, account: &Entry, loaded: &Loaded, attempt: &Attempt) -> Learnt {
        let is_over = self.clock().now() >= loaded.charge.expires_at;
        if attempt.state != AttemptState::Placing || is_over {
            return self.query(account, attempt).await;
        }
        match self.prepare(account, loaded, attempt, None) {
            Ok(placing) => self.place(account, attempt, placing, Placement::Again).await,
            Err(_) => self.query(account, attempt).await,
        }
    }

    /// Makes the order's message; nothing is sent yet.
    pub(crate) fn prepare(
        &self,
        account: &Entry,
        loaded: &Loaded,
        attempt: &Attempt,
        payer: Option<&Payer>,
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
            client_ip: charge.client_ip.as_deref(),
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
        match self.call(account, &exchange).await {
            Reply::Done(fact) => Learnt::Fact(fact),
            Reply::AskNow(_) if placement == Placement::Again => self.query(account, attempt).await,
            Reply::Refused(Refusal { code, message })
            | Reply::AskNow(Refusal { code, message }) => {
                Learnt::Fact(Fact::Refused { code, message })
            }
            Reply::Unknown(doubt) => Learnt::Nothing(doubt),
        }
    }

    pub(crate) async fn query(&self, account: &Entry, attempt: &Attempt) -> Learnt {
        let exchange = account.adapter.query(&attempt.out_trade_no, &self.stamp());
        match self.call(account, &exchange).await {
            Reply::Done(fact) => Learnt::Fact(fact),
            Reply::Refused(refusal) => Learnt::Refused(refusal),
            Reply::Unknown(doubt) => Learnt::Nothing(doubt),
            Reply::AskNow(refusal) => Learnt::Refused(refusal),
        }
    }

    /// Closes an order at the provider. If the payer was quicker, that is what is learnt.
    pub(crate) async fn close_order(&self, account: &Entry, attempt: &Attempt) -> Learnt {
        let exchange = account.adapter.close(&attempt.out_trade_no, &self.stamp());
        match self.call(account, &exchange).await {
            Reply::Done(fact) => Learnt::Fact(fact),
            Reply::AskNow(_) => self.query(account, attempt).await,
            Reply::Refused(refusal) => Learnt::Refused(refusal),
            Reply::Unknown(doubt) => Learnt::Nothing(doubt),
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

impl Learnt {
    /// Why nothing was learnt, in the words of the error that a caller reads.
    pub(crate) fn into_fact(self, provider: Provider) -> Result<Fact, Error> {
        match self {
            Learnt::Fact(fact) => Ok(fact),
            Learnt::Refused(Refusal { code, message }) => {
                let text = format!("{provider} refused the request: {code} {message}");
                let said = Box::new(ProviderError { name: provider, code, message });
                Err(Error { provider: Some(said), ..Error::new(Code::ProviderRefused, text) })
            }
            Learnt::Nothing(Doubt { reason, .. }) => {
                let text = format!(
                    "{provider} gave no answer that can be believed ({reason}). Nothing is \
                     decided; the charge is looked after further."
                );
                Err(Error::new(Code::ProviderUnknown, text))
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
