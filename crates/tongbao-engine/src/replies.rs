//! The reply to a request that makes something: what was made as it stands, or the provider's no.

use crate::idempotency::{failure, reply};
use crate::{Error, MoneyMoved, Render, Reply, views};
use tongbao_core::{
    Attempt, AttemptState, ChargeState, Failure, Loaded, Refund, RefundState, Scope,
};
use tongbao_types::{AttemptId, Code, RefundId};

/// What a reply is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A charge.
    Charge,
    /// One attempt of it: the charge, shown as that attempt has it.
    Attempt(AttemptId),
    /// One refund of it.
    Refund(RefundId),
}

/// How a request is answered: in which form, about what, and under which key its reply is kept.
#[derive(Clone, Copy)]
pub(crate) struct Answering<'a> {
    pub(crate) render: Render,
    pub(crate) subject: Subject,
    pub(crate) key: Option<(&'a Scope, &'a str)>,
}

impl Answering<'_> {
    /// The reply about this state.
    pub(crate) fn reply(&self, loaded: &Loaded, public_url: &str) -> Reply {
        match self.subject {
            Subject::Charge => charge_reply(loaded, public_url, self.render),
            Subject::Attempt(id) => reply(self.render, &attempt(loaded, id, public_url)),
            Subject::Refund(id) => match loaded.refund(id) {
                Some(refund) => refund_reply(refund, loaded, self.render),
                None => failure(self.render, &Error::not_found("refund")),
            },
        }
    }
}

/// A charge, or why there is none to pay.
pub(crate) fn charge_reply(loaded: &Loaded, public_url: &str, render: Render) -> Reply {
    reply(render, &charge(loaded, public_url))
}

/// A refund, or the provider's no.
pub(crate) fn refund_reply(refund: &Refund, loaded: &Loaded, render: Render) -> Reply {
    let RefundState::Failed { failure, .. } = &refund.state else {
        return reply(render, &Ok(views::to_json(&views::refund(refund))));
    };
    let attempt = loaded.attempt(refund.attempt);
    let mut error = refused("refund", attempt, failure);
    error.charge = Some(refund.charge);
    error.refund = Some(refund.id);
    reply(render, &Err(error))
}

fn charge(loaded: &Loaded, public_url: &str) -> Result<String, Error> {
    let ChargeState::Failed { failure, .. } = &loaded.charge.state else {
        return Ok(views::to_json(&views::charge(loaded, public_url)));
    };
    let error = refused("order", loaded.attempts.last(), failure);
    Err(Error { charge: Some(loaded.charge.id), ..error })
}

fn attempt(loaded: &Loaded, id: AttemptId, public_url: &str) -> Result<String, Error> {
    let shown = loaded.attempt(id);
    if let Some(AttemptState::Failed { failure, .. }) = shown.map(|attempt| &attempt.state) {
        let error = refused("order", shown, failure);
        return Err(Error { charge: Some(loaded.charge.id), ..error });
    }
    Ok(views::to_json(&views::charge_through(loaded, shown, public_url)))
}

/// The no to an order or a refund; or that the payer paid another amount, which is here no more.
pub(crate) fn refused(what: &str, attempt: Option<&Attempt>, failure: &Failure) -> Error {
    let Failure { code, message, provider_code } = failure;
    if *code != Code::ProviderRefused {
        let error = Error::new(*code, format!("The charge failed: {message}."));
        return Error { money_moved: MoneyMoved::Yes, ..error };
    }
    let said = provider_code.clone().unwrap_or_default();
    let text = format!("The provider refused the {what}: {said} {message}");
    match attempt {
        Some(attempt) => Error::refused(attempt.channel.provider(), said, message.clone(), text),
        None => Error::new(*code, text),
    }
}
