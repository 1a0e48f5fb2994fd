//! Named values of a request, a notification or a return address: decoded once, kept as bytes.
//!
//! Values stay bytes of the message's character set, because signatures are over those bytes.
//! Decoding happens here and nowhere else, so that nothing is decoded twice.

use crate::Charset;
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// More names than any message of Alipay's has.
const NAMES_MAX: usize = 200;

/// A decoded name and its decoded value, in a character set that is not known yet.
pub(crate) type RawPair = (Vec<u8>, Vec<u8>);

/// Why bytes are not a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// One name came twice.
    #[error("the parameter {0} came twice")]
    Duplicate(String),
    /// The `charset` parameter names none that Alipay has.
    #[error("the charset {0} is neither utf-8 nor GBK")]
    Charset(String),
    /// A value is not text of the message's character set.
    #[error("a parameter is not text in the message's charset")]
    NotText,
    /// More than 200 parameters.
    #[error("the message has more than 200 parameters")]
    TooMany,
}

/// Parameters by name, each name once, in the order of the names' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    charset: Charset,
    values: BTreeMap<String, Vec<u8>>,
}

impl Params {
    /// No parameters yet.
    pub const fn new(charset: Charset) -> Params {
        Params { charset, values: BTreeMap::new() }
    }

    /// Reads `application/x-www-form-urlencoded` (a body or a query) in the character set that its
    /// own `charset` names, UTF-8 if it names none. A name that comes twice is refused.
    pub fn read(form: &[u8]) -> Result<Params, ParamsError> {
        let pairs = raw_pairs(form)?;
        let charset = match pairs.iter().find(|(name, _)| name == b"charset") {
            Some((_, value)) => charset_named(value)?,
            None => Charset::Utf8,
        };
        let mut params = Params::new(charset);
        for (name, value) in pairs {
            let name = params.check(&name, &value)?;
            if params.values.contains_key(&name) {
                return Err(ParamsError::Duplicate(name.chars().take(80).collect()));
            }
            params.values.insert(name, value);
        }
        Ok(params)
    }

    /// The character set of the values.
    pub const fn charset(&self) -> Charset {
        self.charset
    }

    /// Puts a value in; an empty one is left out, since empty parameters are not sent.
    pub fn set(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.values.insert(name.to_owned(), self.charset.encode(value));
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// The value as text, if there is one, even an empty one.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.values.get(name).and_then(|bytes| self.charset.decode(bytes))
    }

    /// The value as text, if there is one that is not blank.
    pub fn filled(&self, name: &str) -> Option<Cow<'_, str>> {
        self.text(name).filter(|text| !text.trim().is_empty())
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Writes `application/x-www-form-urlencoded`, the names in their order.
    pub fn to_form(&self) -> String {
        form(self.iter())
    }

    /// Adds raw pairs of one part of a request; a name that is there already keeps its value.
    pub(crate) fn merge(&mut self, pairs: Vec<RawPair>) -> Result<(), ParamsError> {
        for (name, value) in pairs {
            let name = self.check(&name, &value)?;
            self.values.entry(name).or_insert(value);
        }
        Ok(())
    }

    fn check(&self, name: &[u8], value: &[u8]) -> Result<String, ParamsError> {
        let name = self.charset.decode(name).ok_or(ParamsError::NotText)?;
        self.charset.decode(value).ok_or(ParamsError::NotText)?;
        Ok(name.into_owned())
    }
}

/// Writes pairs as `application/x-www-form-urlencoded`, in their order.
pub(crate) fn form<'a>(pairs: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.extend(form_urlencoded::byte_serialize(name.as_bytes()));
        text.push('=');
        text.extend(form_urlencoded::byte_serialize(value));
    }
    text
}

/// Splits and decodes a form without knowing its character set yet.
pub(crate) fn raw_pairs(form: &[u8]) -> Result<Vec<RawPair>, ParamsError> {
    let parts = form.split(|b| *b == b'&').filter(|part| !part.is_empty());
    let pairs: Vec<_> = parts.take(NAMES_MAX + 1).map(pair).collect();
    if pairs.len() > NAMES_MAX { Err(ParamsError::TooMany) } else { Ok(pairs) }
}

/// The character set that a `charset` parameter names.
pub(crate) fn charset_named(value: &[u8]) -> Result<Charset, ParamsError> {
    let name = String::from_utf8_lossy(value);
    let error = || ParamsError::Charset(name.chars().take(20).collect());
    Charset::from_name(&name).ok_or_else(error)
}

fn pair(part: &[u8]) -> RawPair {
    let at = part.iter().position(|b| *b == b'=');
    let (name, value) = match at {
        Some(at) => (&part[..at], &part[at + 1..]),
        None => (part, &part[part.len()..]),
    };
    (unescape(name), unescape(value))
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    for (at, piece) in text.split(|b| *b == b'+').enumerate() {
        if at > 0 {
            plain.push(b' ');
        }
        plain.extend_from_slice(&Cow::from(percent_decode(piece)));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_form_is_decoded_once() {
        let params = Params::read(b"a=%2526+%2B&b=&c&=d&%E6%B5%8B=x").unwrap();
        assert_eq!(params.text("a").as_deref(), Some("%26 +"));
        assert_eq!(params.text("b").as_deref(), Some(""));
        assert_eq!(params.filled("b"), None);
        assert_eq!(params.text("c").as_deref(), Some(""));
        assert_eq!(params.text("").as_deref(), Some("d"));
        assert_eq!(params.text("测").as_deref(), Some("x"));
        assert_eq!(params.text("d"), None);
        let edges = Params::read(b"+a=+%2&b=%+41+").unwrap();
        assert_eq!(edges.text(" a").as_deref(), Some(" %2"));
        assert_eq!(edges.text("b").as_deref(), Some("% 41 "));
    }

    #[test]
    fn the_charset_is_found_first_wherever_it_stands() {
        let params = Params::read(b"subject=%B2%E2&charset=gbk").unwrap();
        assert_eq!(params.text("subject").as_deref(), Some("测"));
        assert_eq!(params.charset(), Charset::Gbk);
        assert_eq!(Params::read(b"subject=%B2%E2"), Err(ParamsError::NotText));
        let latin = Params::read(b"charset=latin1");
        assert_eq!(latin, Err(ParamsError::Charset("latin1".to_owned())));
    }

    #[test]
    fn a_name_may_come_once_and_not_too_many_at_all() {
        assert_eq!(Params::read(b"a=1&a=1"), Err(ParamsError::Duplicate("a".to_owned())));
        assert_eq!(Params::read(b"a=1&%61=2"), Err(ParamsError::Duplicate("a".to_owned())));
        let many = |n: usize| (0..n).map(|i| format!("k{i}=v&")).collect::<String>();
        assert!(Params::read(many(200).as_bytes()).is_ok());
        assert_eq!(Params::read(many(201).as_bytes()), Err(ParamsError::TooMany));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(form: Vec<u8>) {
            let _ = Params::read(&form);
        }

        #[test]
        fn reading_undoes_writing(
            pairs in proptest::collection::btree_map(".{1,8}", ".{1,8}", 0..8),
        ) {
            let mut params = Params::new(Charset::Utf8);
            for (name, value) in &pairs {
                prop_assume!(name != "charset");
                params.set(name, value);
            }
            prop_assert_eq!(Params::read(params.to_form().as_bytes()), Ok(params));
        }
    }
}
