//! The key of a request: `Authorization: Bearer sk_…`.
//!
//! Only the header's form is judged here; whether the key opens anything is asked of
//! [`tongbao_engine::Engine::authenticate`].

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tongbao_engine::Error;
use tongbao_types::Code;

/// A key's text is shorter than this; whatever is longer is no key of ours.
const KEY_LENGTH_MAX: usize = 200;

/// The text of the key that a request bears.
///
/// Fails with [`Code::AuthenticationRequired`] if there is none, more than one, or another scheme.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(required());
    };
    let text = value.to_str().map_err(|_| required())?;
    let (scheme, key) = text.split_once(' ').ok_or_else(required)?;
    let key = key.trim();
    let is_token = !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic());
    if scheme.eq_ignore_ascii_case("bearer") && is_token && key.len() <= KEY_LENGTH_MAX {
        Ok(key)
    } else {
        Err(required())
    }
}

fn required() -> Error {
    let message = "This address needs a key. Send it as «Authorization: Bearer sk_test_…».";
    Error::new(Code::AuthenticationRequired, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], wanted: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        let found = bearer(&headers);
        assert_eq!(found.as_ref().ok().copied(), wanted, "{values:?}");
        if let Err(error) = found {
            assert_eq!(error.code, Code::AuthenticationRequired);
        }
    }

    #[test]
    fn a_key_comes_once_as_a_bearer_token() {
        check(&["Bearer sk_test_1"], Some("sk_test_1"));
        check(&["bearer  sk_test_1 "], Some("sk_test_1"));
        check(&[], None);
        check(&["sk_test_1"], None);
        check(&["Bearer "], None);
        check(&["Basic c2tfdGVzdF8xOg=="], None);
        check(&["Bearer sk test"], None);
        check(&["Bearer sk_test_1", "Bearer sk_test_2"], None);
        check(&[&format!("Bearer {}", "x".repeat(201))], None);
    }
}
