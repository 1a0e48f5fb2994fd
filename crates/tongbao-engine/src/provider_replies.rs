//! What providers say, in their own words, kept for the profiles of older services that show it.
//!
//! Nothing is decided on it: deciding is for [`tongbao_channels::Exchange`] and the core. It is
//! written before the decision, so that whoever hears of the decision finds the words.

use crate::accounts::Entry;
use crate::{Commit, Engine, Error};
use tongbao_channels::{Exchange, Reply};
use tongbao_core::{Loaded, ProviderReply, ReplyKind, Scope};
use tongbao_types::{ChargeId, HttpRequest, Timestamp};

impl Engine {
    /// What the provider said about a charge, the last of each kind; only apps with a profile keep
    /// it.
    pub async fn provider_replies(
        &self,
        scope: &Scope,
        charge: ChargeId,
    ) -> Result<Vec<ProviderReply>, Error> {
        self.own_charge(scope, charge).await?;
        Ok(self.store().provider_replies(charge).await?)
    }

    /// Carries an exchange about a charge, and keeps what was answered where that is wanted.
    pub(crate) async fn ask<T: 'static>(
        &self,
        account: &Entry,
        charge: ChargeId,
        kind: ReplyKind,
        exchange: &Exchange<T>,
    ) -> Reply<T> {
        let (reply, answer) = self.talk(account, exchange).await;
        if let Some(answer) = answer.filter(|_| self.keeps_replies(account)) {
            self.keep_words(charge, kind, account.adapter.words(&answer)).await;
        }
        reply
    }

    /// What was answered about a charge since a moment, if it is known whose words they are: those
    /// of several orders are kept in one place.
    pub(crate) async fn words_since(
        &self,
        loaded: &Loaded,
        kind: ReplyKind,
        since: Timestamp,
    ) -> Result<Option<String>, Error> {
        if loaded.attempts.len() != 1 {
            return Ok(None);
        }
        let replies = self.store().provider_replies(loaded.charge.id).await?;
        let mut fresh = replies.into_iter().filter(|reply| reply.kind == kind && reply.at >= since);
        Ok(fresh.next().map(|reply| reply.body))
    }

    /// Keeps what a notification said, where that is wanted.
    pub(crate) async fn keep_notice(&self, entry: &Entry, charge: ChargeId, notice: &HttpRequest) {
        if self.keeps_replies(entry) {
            self.keep_words(charge, ReplyKind::Notice, entry.adapter.notice_words(notice)).await;
        }
    }

    fn keeps_replies(&self, account: &Entry) -> bool {
        self.app(&account.scope.app).is_some_and(|app| app.keeps_replies)
    }

    /// Words that cannot be kept now are no reason not to decide; the decision's own commit will
    /// fail likewise if the database is gone.
    async fn keep_words(&self, charge: ChargeId, kind: ReplyKind, words: Option<String>) {
        let Some(body) = words else { return };
        let reply = ProviderReply { charge, kind, body, at: self.clock().now() };
        let commit = Commit { provider_reply: Some(reply), ..Commit::default() };
        if let Err(error) = self.store().commit(commit).await {
            tracing::warn!(charge.id = %charge, %error, "a provider's words are not kept");
        }
    }
}
