//! The body of `POST /v1/charges`: its fields, their limits, and the way from there to the
//! engine's [`NewCharge`].
//!
//! What depends on accounts, time or a provider is checked by the engine.

use super::texts::{Length, line, lines, page_address, wrong};
use super::unwrap;
use crate::extract::Object;
use crate::openapi::objects::ChannelName;
use crate::openapi::values;
use crate::problem::sentence;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use tongbao_core::Payer;
use tongbao_engine::{Error, Expires, NewCharge};
use tongbao_types::{
    AccountName, Amount, Channel, Code, Fen, MoneyError, OrderNo, Span, Timestamp,
};
use utoipa::ToSchema;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};

/// What is to be paid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateCharge {
    /// How much, in fen: 1200 is CNY 12.00. A whole number; providers have lower limits still.
    #[schema(value_type = i64, minimum = 1, maximum = 10_000_000_000_i64, example = 1200)]
    amount: WholeFen,
    /// What the payer reads; one line.
    #[schema(value_type = values::Subject)]
    subject: String,
    /// How the payer will pay. Without it the charge waits for a channel.
    #[schema(value_type = Option<ChannelName>)]
    channel: Option<String>,
    /// With which of the app's channel accounts; without it the first that serves the channel.
    #[schema(value_type = Option<values::AccountName>)]
    account: Option<String>,
    /// Your own number, unique per app and mode; without it one is made.
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]+$", example = "20261121-0001")]
    order_no: Option<String>,
    /// A longer description.
    #[schema(value_type = Option<values::Description>)]
    body: Option<String>,
    /// `CNY`, the only currency.
    #[schema(pattern = "^CNY$", example = "CNY")]
    currency: Option<String>,
    /// The payer's address, if you know it.
    #[schema(value_type = Option<values::IpAddress>)]
    client_ip: Option<String>,
    /// Who will pay; some channels need it.
    #[schema(value_type = Option<PayerFields>)]
    payer: Option<Object<PayerFields>>,
    /// Where the payer's browser goes after paying, `https://…` or `http://…`.
    #[schema(
        max_length = 500,
        pattern = "^[Hh][Tt][Tt][Pp][Ss]?://[!-~]+$",
        example = "https://shop.example/orders/20261121-0001"
    )]
    return_url: Option<String>,
    /// Nobody can pay after this moment (RFC 3339), at most 7 days ahead. Not with `expires_in`.
    #[schema(format = DateTime, example = "2026-11-21T15:00:00Z")]
    expires_at: Option<String>,
    /// Nobody can pay after so long: whole seconds, or a text such as `30m` or `2h`.
    expires_in: Option<SpanField>,
    /// Comes back in the provider's messages as it is; at most 127 bytes.
    #[schema(value_type = Option<values::Attachment>)]
    attach: Option<String>,
    /// Your own notes: at most 50 names (40 characters) and values (500 characters).
    #[schema(value_type = Option<values::Notes>)]
    metadata: Option<Metadata>,
}

/// Who will pay, by the provider's ids.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPayer)]
pub(crate) struct PayerFields {
    /// WeChat's id of the user towards your app id.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    openid: Option<String>,
    /// Alipay's user id.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    buyer_id: Option<String>,
    /// The payment code that the payer shows; never kept.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    auth_code: Option<String>,
}

impl CreateCharge {
    /// Checks each value; the error names the first that breaks its limit.
    pub(crate) fn check(self) -> Result<NewCharge, Error> {
        let amount = self.amount.check()?;
        if self.currency.as_deref().is_some_and(|currency| currency != "CNY") {
            return Err(wrong("currency", "The only currency is CNY."));
        }
        let expires = expires(self.expires_at, self.expires_in)?;
        let optional_lines = |param, text: Option<String>, length| {
            text.map(|text| lines(param, text, length)).transpose()
        };
        Ok(NewCharge {
            amount,
            subject: line("subject", self.subject, Length::Characters(127))?,
            channel: self.channel.map(|text| channel(&text)).transpose()?,
            account: self.account.map(account).transpose()?,
            order_no: self.order_no.map(|no| checked("order_no", no, OrderNo::new)).transpose()?,
            body: optional_lines("body", self.body, Length::Characters(1000))?,
            attach: optional_lines("attach", self.attach, Length::Bytes(127))?,
            client_ip: self.client_ip.map(|text| address(&text)).transpose()?,
            payer: unwrap(self.payer).map(PayerFields::check).transpose()?,
            return_url: self.return_url.map(|url| page_address("return_url", url)).transpose()?,
            metadata: self.metadata.map_or(Ok(Vec::new()), Metadata::check)?,
            profile: None,
            expires,
        })
    }
}

fn expires(at: Option<String>, within: Option<SpanField>) -> Result<Option<Expires>, Error> {
    match (at, within) {
        (Some(_), Some(_)) => Err(wrong("expires_in", "Give expires_at or expires_in, not both.")),
        (Some(text), None) => {
            let moment: Timestamp = parsed("expires_at", &text)?;
            Ok(Some(Expires::At(moment)))
        }
        (None, Some(SpanField(span))) => Ok(Some(Expires::In(span))),
        (None, None) => Ok(None),
    }
}

/// A channel by its name.
pub(super) fn channel(text: &str) -> Result<Channel, Error> {
    let names: Vec<&str> = Channel::ALL.iter().map(|channel| channel.as_str()).collect();
    text.parse().map_err(|_| wrong("channel", format!("A channel is one of {}.", names.join(", "))))
}

/// An account by its name.
pub(super) fn account(name: String) -> Result<AccountName, Error> {
    checked("account", name, AccountName::new)
}

/// A payer's address.
pub(super) fn address(text: &str) -> Result<String, Error> {
    parsed::<IpAddr>("client_ip", text).map(|address| address.to_string())
}

fn parsed<T: FromStr<Err: fmt::Display>>(param: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|cause: T::Err| wrong(param, sentence(&cause)))
}

/// A text in a form that checks itself.
pub(super) fn checked<T, E: fmt::Display>(
    param: &str,
    text: String,
    new: impl Fn(String) -> Result<T, E>,
) -> Result<T, Error> {
    new(text).map_err(|cause| wrong(param, sentence(&cause)))
}

impl PayerFields {
    pub(super) fn check(self) -> Result<Payer, Error> {
        let id = |param: &'static str, text: Option<String>| match text {
            Some(text) if text.bytes().all(|b| b.is_ascii_graphic()) => {
                line(param, text, Length::Bytes(128)).map(Some)
            }
            Some(_) => Err(wrong(param, "This is 1 to 128 printable characters without blanks.")),
            None => Ok(None),
        };
        let payer = Payer {
            openid: id("payer.openid", self.openid)?,
            buyer_id: id("payer.buyer_id", self.buyer_id)?,
            auth_code: id("payer.auth_code", self.auth_code)?,
        };
        if payer == Payer::default() {
            return Err(wrong("payer", "A payer is an openid, a buyer_id or an auth_code."));
        }
        Ok(payer)
    }
}

/// An integer, kept as a number even where it is absurdly large, so that the error can say so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WholeFen(i64);

impl WholeFen {
    pub(super) fn check(self) -> Result<Amount, Error> {
        Amount::new(Fen(self.0)).map_err(|cause| {
            let code = match cause {
                MoneyError::TooSmall => Code::AmountTooSmall,
                MoneyError::TooLarge | MoneyError::Overflow => Code::AmountTooLarge,
                MoneyError::NotYuan => Code::InvalidParameter,
            };
            Error::new(code, sentence(&cause)).param("amount")
        })
    }
}

impl<'de> Deserialize<'de> for WholeFen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<WholeFen, D::Error> {
        deserializer.deserialize_any(WholeFenVisitor)
    }
}

struct WholeFenVisitor;

impl Visitor<'_> for WholeFenVisitor {
    type Value = WholeFen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of fen, such as 1200 for CNY 12.00")
    }

    fn visit_i64<E>(self, fen: i64) -> Result<WholeFen, E> {
        Ok(WholeFen(fen))
    }

    fn visit_u64<E>(self, fen: u64) -> Result<WholeFen, E> {
        Ok(WholeFen(i64::try_from(fen).unwrap_or(i64::MAX)))
    }
}

/// A length of time: whole seconds, or a text with a unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanField(Span);

impl<'de> Deserialize<'de> for SpanField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SpanField, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = SpanField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whole seconds, or a text such as 30m or 2h")
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<SpanField, E> {
        Err(E::custom(format!("{seconds} seconds have passed already")))
    }

    fn visit_u64<E>(self, seconds: u64) -> Result<SpanField, E> {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Ok(SpanField(Span::from_seconds(seconds)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SpanField, E> {
        text.parse().map(SpanField).map_err(E::custom)
    }
}

impl utoipa::PartialSchema for SpanField {
    fn schema() -> RefOr<Schema> {
        let seconds = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(1))
            .build();
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9]+(ms|s|m|h|d)$"))
            .examples(["30m"])
            .build();
        OneOfBuilder::new().item(seconds).item(text).into()
    }
}

impl ToSchema for SpanField {}

/// Names and values, each name once.
#[derive(Debug)]
pub(crate) struct Metadata(Vec<(String, String)>);

impl Metadata {
    pub(super) fn check(self) -> Result<Vec<(String, String)>, Error> {
        if self.0.len() > 50 {
            return Err(wrong("metadata", "Metadata has at most 50 names."));
        }
        let pair = |(name, value): (String, String)| {
            let name = line("metadata", name, Length::Characters(40))?;
            if value.is_empty() {
                return Ok((name, value));
            }
            let value = lines(&format!("metadata.{name}"), value, Length::Characters(500))?;
            Ok((name, value))
        };
        self.0.into_iter().map(pair).collect()
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Metadata, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            if pairs.contains_key(&name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            pairs.insert(name, value);
        }
        Ok(Metadata(pairs.into_iter().collect()))
    }
}
