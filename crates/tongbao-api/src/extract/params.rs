//! The query: each parameter once, each one known.

use crate::Problem;
use crate::problem::sentence;
use axum::extract::FromRequestParts;
use http::request::Parts;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use tongbao_engine::Error;
use tongbao_types::Code;

/// The parameters of a query. Take what the route knows, then call [`Params::finish`].
pub(crate) struct Params(BTreeMap<String, String>);

/// For routes that take no parameters.
pub(crate) struct NoParams;

impl Params {
    fn read(query: &str) -> Result<Params, Error> {
        let mut params = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if params.contains_key(name.as_ref()) {
                let message = "The parameter was given more than once.";
                return Err(Error::new(Code::InvalidParameter, message).param(name));
            }
            params.insert(name.into_owned(), value.into_owned());
        }
        Ok(Params(params))
    }

    /// The text of a parameter.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// A parameter in a form that checks itself.
    pub(crate) fn parse<T>(&mut self, name: &str) -> Result<Option<T>, Error>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.parse_by(name, |text| text.parse().map_err(|cause: T::Err| sentence(&cause)))
    }

    /// A parameter in a form that `read` checks; its error is a sentence.
    pub(crate) fn parse_by<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let wrong = |cause| Error::new(Code::InvalidParameter, cause).param(name);
        read(&text).map(Some).map_err(wrong)
    }

    /// A parameter that is one of a few words.
    pub(crate) fn word(&mut self, name: &str, words: &[&str]) -> Result<Option<String>, Error> {
        self.parse_by(name, |text| {
            let known = words.contains(&text);
            known.then(|| text.to_owned()).ok_or_else(|| format!("One of {}.", words.join(", ")))
        })
    }

    /// Refuses whatever was not taken.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Some(name) = self.0.into_keys().next() else { return Ok(()) };
        let message = format!("This address has no parameter «{}».", shortened(&name));
        Err(Error::new(Code::UnknownParameter, message).param(shortened(&name)))
    }
}

/// Enough of a name or message to recognise it by.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params, Problem> {
        Ok(Params::read(parts.uri.query().unwrap_or(""))?)
    }
}

impl<S: Sync> FromRequestParts<S> for NoParams {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<NoParams, Problem> {
        Params::read(parts.uri.query().unwrap_or(""))?.finish()?;
        Ok(NoParams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_types::Timestamp;

    fn check(query: &str, wanted: Result<Option<&str>, (Code, &str)>) {
        let read = || -> Result<Option<String>, Error> {
            let mut params = Params::read(query)?;
            let moment: Option<Timestamp> = params.parse("created_after")?;
            params.word("status", &["pending", "closed"])?;
            params.finish()?;
            Ok(moment.map(|moment| moment.to_string()))
        };
        let found = read().map_err(|error| (error.code, error.param.unwrap_or_default()));
        let wanted = wanted.map(|text| text.map(str::to_owned));
        assert_eq!(found, wanted.map_err(|(code, param)| (code, param.to_owned())), "{query}");
    }

    #[test]
    fn a_query_is_taken_whole_or_refused() {
        check("", Ok(None));
        check("status=closed", Ok(None));
        check("created_after=2026-11-21T08%3A00%3A00%2B08:00", Ok(Some("2026-11-21T00:00:00Z")));
        check("created_after=yesterday", Err((Code::InvalidParameter, "created_after")));
        check("status=paid", Err((Code::InvalidParameter, "status")));
        check("status=closed&status=pending", Err((Code::InvalidParameter, "status")));
        check("created_before=1", Err((Code::UnknownParameter, "created_before")));
        check("Status=closed", Err((Code::UnknownParameter, "Status")));
    }
}
