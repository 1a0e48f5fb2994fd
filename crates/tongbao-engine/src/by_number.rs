//! Orders by their number at an account, as the older services name them: looked at and closed by
//! the ordinary use case where the order is a charge here, and shown in the provider's own words.
//!
//! Where the use case has no reason to ask, or the order is not known here, the provider is asked
//! only to be shown (`verbatim.rs`).

use crate::{Engine, Error, Heard};
use tongbao_core::{Loaded, ReplyKind, Scope};
use tongbao_types::{AccountName, Code, OutTradeNo};

impl Engine {
    /// Asks how an order stands. A charge learns what was answered.
    pub async fn query_by_number(
        &self,
        scope: &Scope,
        account: &AccountName,
        number: &OutTradeNo,
    ) -> Result<Heard, Error> {
        let entry = self.account_in(scope, account)?;
        if let Some(loaded) = self.store().charge_by_out_trade_no(account, number).await? {
            let since = self.clock().now();
            let looked = self.sync_charge(scope, loaded.charge.id).await;
            if let Some(words) = self.words_since(&loaded, ReplyKind::Query, since).await? {
                return Ok(Heard::Words(words));
            }
            if let Some(silence) = silence(&loaded, looked.map(drop))? {
                return Ok(silence);
            }
        }
        Ok(self.query_verbatim(&entry, number).await.1)
    }

    /// Closes an order. A charge that waits is closed as it always is: at the provider first, then
    /// here; one that turns out to be paid is paid.
    pub async fn close_by_number(
        &self,
        scope: &Scope,
        account: &AccountName,
        number: &OutTradeNo,
    ) -> Result<Heard, Error> {
        let entry = self.account_in(scope, account)?;
        if let Some(loaded) = self.store().charge_by_out_trade_no(account, number).await? {
            let since = self.clock().now();
            let closed = match self.close_charge(scope, loaded.charge.id).await {
                Ok(charge) if charge.status == "pending" => Err(still_closing()),
                Ok(_) => Ok(()),
                Err(error) if error.code == Code::ChargeNotPending => Ok(()),
                Err(error) => Err(error),
            };
            if let Some(words) = self.words_since(&loaded, ReplyKind::Close, since).await? {
                return Ok(Heard::Words(words));
            }
            if let Some(silence) = silence(&loaded, closed)? {
                return Ok(silence);
            }
        }
        Ok(self.close_verbatim(&entry, number).await)
    }
}

/// Whether there is no sense in asking once more: the provider has just given no answer about this
/// very order.
fn silence(loaded: &Loaded, outcome: Result<(), Error>) -> Result<Option<Heard>, Error> {
    match outcome {
        Ok(()) => Ok(None),
        Err(error) if error.code != Code::ProviderUnknown => Err(error),
        Err(error) if loaded.attempts.len() == 1 => Ok(Some(Heard::Silence(error.message))),
        Err(_) => Ok(None),
    }
}

fn still_closing() -> Error {
    let message = "The provider gave no answer that can be believed. The order goes on being \
                   closed; a query will tell.";
    Error::new(Code::ProviderUnknown, message)
}
