//! The JSON texts inside rows: metadata, actions, payers, failures, tries. They are for storage and
//! for people who look; no statement looks into them. What merchants see is rendered elsewhere.

use super::damaged;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tongbao_core::{Action, Failure, Payer, Try};
use tongbao_engine::StoreError;
use tongbao_types::{Span, Timestamp};

/// A value that is kept as JSON text.
pub(crate) trait Json: Sized {
    /// As text.
    fn write(&self) -> String;
    /// From text.
    fn read(text: &str) -> Result<Self, StoreError>;

    /// From a cell that may be empty.
    fn read_maybe(text: Option<String>) -> Result<Option<Self>, StoreError> {
        text.map(|text| Self::read(&text)).transpose()
    }
}

/// Texts in order, such as the events that an endpoint wants, or names with values.
impl<T: Serialize + DeserializeOwned> Json for Vec<T> {
    fn write(&self) -> String {
        print(self)
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        parse(text)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ActionRow {
    QrCode { code_url: String },
    Redirect { url: String },
    Form { html: String },
    Jsapi { params: Vec<(String, String)> },
    App { params: Vec<(String, String)> },
}

impl Json for Action {
    fn write(&self) -> String {
        print(&match self.clone() {
            Action::QrCode { code_url } => ActionRow::QrCode { code_url },
            Action::Redirect { url } => ActionRow::Redirect { url },
            Action::Form { html } => ActionRow::Form { html },
            Action::Jsapi { params } => ActionRow::Jsapi { params },
            Action::App { params } => ActionRow::App { params },
        })
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        Ok(match parse(text)? {
            ActionRow::QrCode { code_url } => Action::QrCode { code_url },
            ActionRow::Redirect { url } => Action::Redirect { url },
            ActionRow::Form { html } => Action::Form { html },
            ActionRow::Jsapi { params } => Action::Jsapi { params },
            ActionRow::App { params } => Action::App { params },
        })
    }
}

/// Without the payment code, which is never kept.
#[derive(Serialize, Deserialize)]
struct PayerRow {
    openid: Option<String>,
    buyer_id: Option<String>,
}

impl Json for Payer {
    fn write(&self) -> String {
        print(&PayerRow { openid: self.openid.clone(), buyer_id: self.buyer_id.clone() })
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        let PayerRow { openid, buyer_id } = parse(text)?;
        Ok(Payer { openid, buyer_id, auth_code: None })
    }
}

#[derive(Serialize, Deserialize)]
struct FailureRow {
    code: String,
    message: String,
    provider_code: Option<String>,
}

impl Json for Failure {
    fn write(&self) -> String {
        print(&FailureRow {
            code: self.code.as_str().to_owned(),
            message: self.message.clone(),
            provider_code: self.provider_code.clone(),
        })
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        let FailureRow { code, message, provider_code } = parse(text)?;
        let code = code.parse().map_err(|error| damaged(&error))?;
        Ok(Failure { code, message, provider_code })
    }
}

/// Times and lengths in microseconds.
#[derive(Serialize, Deserialize)]
struct TryRow {
    at: i64,
    status: Option<u16>,
    error: Option<String>,
    took: i64,
}

/// The tries of a delivery, the newest last.
pub(super) fn write_tries(tries: &[Try]) -> String {
    let row = |t: &Try| TryRow {
        at: t.at.as_micros(),
        status: t.status,
        error: t.error.clone(),
        took: t.took.as_micros(),
    };
    tries.iter().map(row).collect::<Vec<_>>().write()
}

/// The tries of a delivery.
pub(super) fn read_tries(text: &str) -> Result<Vec<Try>, StoreError> {
    let read = |row: TryRow| Try {
        at: Timestamp::from_micros(row.at),
        status: row.status,
        error: row.error,
        took: Span::from_micros(row.took),
    };
    Ok(<Vec<TryRow> as Json>::read(text)?.into_iter().map(read).collect())
}

fn print(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists of them are always JSON")
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| damaged(&error))
}
