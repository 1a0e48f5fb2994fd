//! What a provider is asked only to show what it says, for the older services, whose callers read
//! the provider's own fields.
//!
//! Nothing is decided here and nothing is written. Queries, closes and questions about refunds
//! move no money, whatever number they name; a refund has rules of its own
//! (`refund_by_number.rs`), and so do the orders that are charges here (`by_number.rs`).

use crate::accounts::Entry;
use crate::{Engine, Error};
use std::sync::Arc;
use tongbao_channels::{BillDate, BillKind, BillPlan, BillWanted, Exchange, OrderRef, Reply};
use tongbao_core::{Fact, Scope};
use tongbao_types::{AccountName, Channel, Code, OutTradeNo, Provider};

/// What was heard of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Its words: a JSON object with its own names and values.
    Words(String),
    /// Nothing that can be believed, and why.
    Silence(String),
}

impl Engine {
    /// Carries an exchange, and gives what was answered beside what it amounts to.
    pub(crate) async fn hear<T: 'static>(
        &self,
        account: &Entry,
        exchange: &Exchange<T>,
    ) -> (Reply<T>, Heard) {
        let (reply, answer) = self.talk(account, exchange).await;
        let words = answer.and_then(|answer| account.adapter.words(&answer));
        let heard = match (words, &reply) {
            (Some(words), _) => Heard::Words(words),
            (None, Reply::Unknown(doubt)) => Heard::Silence(doubt.reason.clone()),
            (None, _) => Heard::Silence("the answer cannot be shown".to_owned()),
        };
        (reply, heard)
    }

    /// Asks how the order of any number stands.
    pub(crate) async fn query_verbatim(
        &self,
        account: &Entry,
        number: &OutTradeNo,
    ) -> (Reply<Fact>, Heard) {
        let exchange = account.adapter.query(order_at(account, number), &self.stamp());
        self.hear(account, &exchange).await
    }

    /// Closes the order of any number; never one that is paid.
    pub(crate) async fn close_verbatim(&self, account: &Entry, number: &OutTradeNo) -> Heard {
        let exchange = account.adapter.close(order_at(account, number), &self.stamp());
        self.hear(account, &exchange).await.1
    }

    /// Asks for the refunds of the order of any number, as the older services did.
    pub async fn refunds_verbatim(
        &self,
        scope: &Scope,
        account: &AccountName,
        number: &OutTradeNo,
    ) -> Result<Heard, Error> {
        let entry = self.account_in(scope, account)?;
        let exchange = entry.adapter.refunds_of(order_at(&entry, number), &self.stamp());
        match exchange {
            Some(exchange) => Ok(self.hear(&entry, &exchange).await.1),
            None => Err(too_young(account)),
        }
    }

    /// What the provider says when asked for a bill of trades: where it is, or why there is none.
    /// A bill that comes at once is no words; that is for [`Engine::bill`].
    pub async fn bill_words(
        &self,
        scope: &Scope,
        account: &AccountName,
        date: BillDate,
        kind: BillKind,
    ) -> Result<Heard, Error> {
        let entry = self.account_in(scope, account)?;
        let plan = entry.adapter.bill(BillWanted { date, kind }, &self.stamp());
        let hindered = |hindrance: tongbao_channels::BillHindrance| {
            Error::new(Code::ChannelUnavailable, hindrance.0)
        };
        let fetch = match plan.map_err(hindered)? {
            BillPlan::Ask(exchange) => return Ok(self.hear(&entry, &exchange).await.1),
            BillPlan::Fetch(fetch) => fetch,
        };
        let outgoing = self.outgoing(&entry, fetch.request(&self.stamp()));
        let answer = match self.wire().send(outgoing).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Heard::Silence(error.to_string())),
        };
        let words = entry.adapter.words(&answer).filter(|_| fetch.begin(&answer).is_none());
        let silence = || Heard::Silence("the answer is neither a bill nor words".to_owned());
        Ok(words.map_or_else(silence, Heard::Words))
    }

    /// An account of this scope.
    pub(crate) fn account_in(
        &self,
        scope: &Scope,
        name: &AccountName,
    ) -> Result<Arc<Entry>, Error> {
        let own = self.accounts().named(name).filter(|entry| entry.scope == *scope);
        own.cloned().ok_or_else(|| {
            let Scope { app, mode } = scope;
            let message = format!("The app {app} has no {mode} account named {name}.");
            Error::new(Code::AccountMissing, message).param("account")
        })
    }
}

/// An order of which only the number is known. In these channels a close is a close, and never
/// takes back what was paid.
pub(crate) fn order_at<'a>(account: &Entry, number: &'a OutTradeNo) -> OrderRef<'a> {
    let channel = match account.adapter.provider() {
        Provider::Wechat => Channel::WechatNative,
        Provider::Alipay => Channel::AlipayPage,
    };
    OrderRef { channel, out_trade_no: number }
}

fn too_young(account: &AccountName) -> Error {
    let message = format!(
        "The account {account} speaks another protocol than the older services did; this needs one \
         with WeChat's API v2 or Alipay's OpenAPI 2.0."
    );
    Error::new(Code::ChannelUnavailable, message)
}
