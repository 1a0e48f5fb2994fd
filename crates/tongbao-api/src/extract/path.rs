//! An id in the path. What is not the id of such an object is not found, whatever it is.

use crate::Problem;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use std::str::FromStr;
use tongbao_engine::Error;
use tongbao_types::Code;

/// The `{id}` of the route.
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Id<T>, Problem> {
        let not_found = || Error::new(Code::NotFound, "There is no object with this id.");
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| not_found())?;
        let text = params.iter().find(|(name, _)| *name == "id").map(|(_, text)| text);
        let id = text.and_then(|text| text.parse().ok()).ok_or_else(not_found)?;
        Ok(Id(id))
    }
}

/// The `{account}` of the route, not checked: the engine knows which there are.
pub(crate) struct Account(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Account, Problem> {
        let not_found = || Error::new(Code::NotFound, "There is no such account.");
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| not_found())?;
        let account = params.iter().find(|(name, _)| *name == "account");
        Ok(Account(account.ok_or_else(not_found)?.1.to_owned()))
    }
}
