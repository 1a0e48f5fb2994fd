//! Who asks: an app by its key, or a payer's browser by the client secret of one charge.

use crate::{App, Problem};
use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use std::net::IpAddr;
use tongbao_core::Scope;
use tongbao_engine::Error;
use tongbao_types::ChargeId;
use tongbao_web::ClientAddress;

/// An app in a mode, by the key that the request bears.
pub(crate) struct Caller(pub(crate) Scope);

/// Whom a charge is shown to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The app itself: everything.
    Merchant,
    /// A payer's browser: what a payer may see.
    Payer,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Caller, Problem> {
        let Ok(ClientAddress(client)) = ClientAddress::from_request_parts(parts, app).await;
        Ok(Caller(app.scope(&parts.headers, client).await?))
    }
}

impl App {
    /// Whose key a request bears.
    ///
    /// Fails if there is none, if it is wrong, or if it comes too often.
    async fn scope(&self, headers: &HeaderMap, client: IpAddr) -> Result<Scope, Error> {
        let key = self.gate.key_to_try(&self.engine, headers, client)?;
        let known = self.engine.authenticate(key).await;
        self.gate.tried(key, client, known)
    }
}

impl Audience {
    /// Checks that whoever sent this may see the charge. A key counts before a client secret.
    pub(crate) async fn of(
        app: &App,
        (headers, ClientAddress(client)): (&HeaderMap, ClientAddress),
        client_secret: Option<&str>,
        id: ChargeId,
    ) -> Result<Audience, Error> {
        match client_secret {
            Some(secret) if !headers.contains_key(AUTHORIZATION) => {
                app.engine.charge_for_client(id, secret).await?;
                Ok(Audience::Payer)
            }
            _ => {
                let scope = app.scope(headers, client).await?;
                app.engine.charge(&scope, id).await?;
                Ok(Audience::Merchant)
            }
        }
    }
}
