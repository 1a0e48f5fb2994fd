//! Alipay's forms, written and signed by code of the tests' own.

use std::fmt::Write;
use std::sync::Arc;
use tongbao_channels::{Adapter, Notice};
use tongbao_types::{HttpRequest, Method};

pub(crate) type Pairs = Vec<(String, String)>;

type Signer = Box<dyn Fn(&[u8]) -> String>;

/// An account, and what Alipay tells it.
pub(crate) struct Account {
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) sign_type: &'static str,
    /// The signature over a string.
    pub(crate) sign: Signer,
    /// The genuine members, without signature.
    pub(crate) pairs: Pairs,
    pub(crate) told: Notice,
    /// The member with the amount.
    pub(crate) amount: &'static str,
}

impl Account {
    pub(crate) fn genuine(&self) -> HttpRequest {
        self.signed(|_| ())
    }

    /// The genuine members with their signature.
    pub(crate) fn whole(&self) -> Pairs {
        let mut pairs = self.pairs.clone();
        self.seal(&mut pairs);
        pairs
    }

    /// Changed, and signed as Alipay alone can.
    pub(crate) fn signed(&self, change: impl FnOnce(&mut Pairs)) -> HttpRequest {
        let mut pairs = self.pairs.clone();
        change(&mut pairs);
        self.seal(&mut pairs);
        post(written(&pairs))
    }

    /// Changed after it was signed.
    pub(crate) fn tampered(&self, change: impl FnOnce(&mut Pairs)) -> HttpRequest {
        let mut pairs = self.whole();
        change(&mut pairs);
        post(written(&pairs))
    }

    /// With this in place of the signature.
    pub(crate) fn under(&self, signature: &str) -> HttpRequest {
        self.tampered(|pairs| set(pairs, "sign", signature))
    }

    /// Signed over another string.
    pub(crate) fn over(&self, string: &str) -> HttpRequest {
        self.under(&(self.sign)(string.as_bytes()))
    }

    /// The genuine text, changed.
    pub(crate) fn text(&self, change: impl FnOnce(&str) -> String) -> HttpRequest {
        post(change(&written(&self.whole())))
    }

    fn seal(&self, pairs: &mut Pairs) {
        let signature = (self.sign)(joined(pairs).as_bytes());
        set(pairs, "sign", &signature);
        set(pairs, "sign_type", self.sign_type);
    }
}

pub(crate) fn post(body: impl AsRef<[u8]>) -> HttpRequest {
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    HttpRequest {
        method: Method::Post,
        target: "/notify/alipay/shop".to_owned(),
        headers: vec![("Content-Type".to_owned(), kind.to_owned())],
        body: body.as_ref().to_vec().into(),
    }
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn set(pairs: &mut Pairs, name: &str, value: &str) {
    match pairs.iter_mut().find(|(known, _)| known == name) {
        Some(pair) => pair.1 = value.to_owned(),
        None => pairs.push((name.to_owned(), value.to_owned())),
    }
}

pub(crate) fn remove(pairs: &mut Pairs, name: &str) {
    let before = pairs.len();
    pairs.retain(|(known, _)| known != name);
    assert!(pairs.len() < before, "{name} is not there");
}

/// The string that is signed.
pub(crate) fn joined(pairs: &Pairs) -> String {
    let signed = |(name, value): &&(String, String)| {
        !["sign", "sign_type"].contains(&name.as_str()) && !value.is_empty()
    };
    let mut parts: Vec<&(String, String)> = pairs.iter().filter(signed).collect();
    parts.sort();
    let parts: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join("&")
}

pub(crate) fn written(pairs: &Pairs) -> String {
    written_by(pairs, escaped)
}

pub(crate) fn written_by(pairs: &Pairs, escape: impl Fn(&[u8]) -> String) -> String {
    let part = |(name, value): &(String, String)| {
        format!("{}={}", escape(name.as_bytes()), escape(value.as_bytes()))
    };
    pairs.iter().map(part).collect::<Vec<_>>().join("&")
}

/// As Alipay escapes: a blank is a plus.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b' ' => text.push('+'),
            b'.' | b'-' | b'_' | b'*' => text.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(*byte)),
            byte => write!(text, "%{byte:02X}").unwrap(),
        }
        text
    })
}

/// Every byte escaped, in small letters.
pub(crate) fn all_escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
}
