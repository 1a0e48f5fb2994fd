//! Notifications at the addresses that the older services gave to a provider. The signature is the
//! provider's key, so these routes are open to all.

use crate::{Service, answer};
use axum::extract::Request;
use axum::response::Response;
use tongbao_engine::Error;
use tongbao_types::{AccountName, Method, Mode, Provider};
use tongbao_web::raw;

impl Service {
    /// Takes a notification in for the one of the profile's accounts, of either mode, whose order
    /// it is.
    ///
    /// Fails if the message cannot be read whole.
    pub(crate) async fn take_notice(
        &self,
        provider: Provider,
        request: Request,
    ) -> Result<Response, Error> {
        let accounts = [Mode::Live, Mode::Test].map(|mode| self.setup.account(mode, provider));
        let accounts: Vec<AccountName> = accounts.into_iter().flatten().cloned().collect();
        self.take_notice_of(provider, &accounts, request).await
    }

    /// The same for one of these accounts.
    pub(crate) async fn take_notice_of(
        &self,
        provider: Provider,
        accounts: &[AccountName],
        request: Request,
    ) -> Result<Response, Error> {
        let request = raw::request(request, Method::Post).await?;
        let answer = self.engine.receive_notice_of(provider, accounts, request).await;
        Ok(answer::acknowledgement(answer))
    }
}
