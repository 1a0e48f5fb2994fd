//! How the vocabulary of `tongbao-types`, which knows no serde, stands in the journal and in the
//! control paths: names as words, moments as RFC 3339 on the outside and as microseconds inside.

use serde::{Deserialize, Deserializer, Serializer};
use tongbao_types::{Provider, Timestamp};

/// `#[serde(with = "words::provider")]`.
pub(crate) mod provider {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Provider, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Provider, D::Error> {
        let word = String::deserialize(from)?;
        word.parse().map_err(serde::de::Error::custom)
    }
}

/// `#[serde(with = "words::provider_option", default)]`.
pub(crate) mod provider_option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Provider>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(provider) => to.serialize_some(provider.as_str()),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Provider>, D::Error> {
        let word: Option<String> = Option::deserialize(from)?;
        word.map(|w| w.parse().map_err(serde::de::Error::custom)).transpose()
    }
}

/// `#[serde(with = "words::micros")]`.
pub(crate) mod micros {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(value.as_micros())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_micros)
    }
}

/// `#[serde(with = "words::micros_option", default)]`.
pub(crate) mod micros_option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(moment) => to.serialize_some(&moment.as_micros()),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let micros: Option<i64> = Option::deserialize(from)?;
        Ok(micros.map(Timestamp::from_micros))
    }
}
