//! The tables, one noun each: names of columns, and how a row becomes a value of the core and back.
//!
//! `row` and `read` of a table list the columns in the same order as its `COLUMNS`; the conformance
//! suite goes red where they differ. No statement is made here.

pub(crate) mod api_keys;
pub(crate) mod attempts;
pub(crate) mod bills;
pub(crate) mod charge_numbers;
pub(crate) mod charges;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod event_bodies;
pub(crate) mod events;
pub(crate) mod idempotency_keys;
pub(crate) mod jobs;
mod json;
pub(crate) mod provider_replies;
pub(crate) mod refunds;
pub(crate) mod refused_notices;

use rusqlite::types::FromSql;
use sea_orm::{QueryResult, TryGetable, Value};
use std::str::FromStr;
use tongbao_core::Scope;
use tongbao_engine::StoreError;
use tongbao_types::{Amount, AppName, Fen, Mode, NumberError, Timestamp};
use uuid::Uuid;

/// What a cell may be read as, whoever read the row.
pub(crate) trait Cell: TryGetable + FromSql {}

impl<T: TryGetable + FromSql> Cell for T {}

/// A row that was read.
pub(crate) trait Row {
    /// One of its cells.
    fn cell<T: Cell>(&self, at: usize) -> Result<T, StoreError>;
}

impl Row for QueryResult {
    fn cell<T: Cell>(&self, at: usize) -> Result<T, StoreError> {
        self.try_get_by_index(at).map_err(|error| damaged(&error))
    }
}

/// Reads a row's cells from left to right.
pub(crate) struct Cells<'a, R = QueryResult> {
    row: &'a R,
    at: usize,
}

impl<'a, R: Row> Cells<'a, R> {
    /// Begins at a column.
    pub(crate) fn of(row: &'a R, at: usize) -> Cells<'a, R> {
        Cells { row, at }
    }

    /// The next cell.
    pub(crate) fn next<T: Cell>(&mut self) -> Result<T, StoreError> {
        let cell = self.row.cell(self.at);
        self.at += 1;
        cell
    }

    /// The next cell as an id.
    pub(crate) fn id<T: From<Uuid>>(&mut self) -> Result<T, StoreError> {
        Ok(T::from(self.next::<Uuid>()?))
    }

    /// The next cell as an id that may be missing.
    pub(crate) fn id_maybe<T: From<Uuid>>(&mut self) -> Result<Option<T>, StoreError> {
        Ok(self.next::<Option<Uuid>>()?.map(T::from))
    }

    /// The next cell as an amount of fen.
    pub(crate) fn amount(&mut self) -> Result<Amount, StoreError> {
        Amount::new(Fen(self.next()?)).map_err(|error| damaged(&error))
    }

    /// The next cell as a time.
    pub(crate) fn time(&mut self) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_micros(self.next()?))
    }

    /// The next cell as a time that may be missing.
    pub(crate) fn time_maybe(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.next::<Option<i64>>()?.map(Timestamp::from_micros))
    }

    /// The next cell as a word of a closed list.
    pub(crate) fn word<T: FromStr<Err: std::fmt::Display>>(&mut self) -> Result<T, StoreError> {
        self.next::<String>()?.parse().map_err(|error| damaged(&error))
    }

    /// The next cell as a word of a closed list that may be missing.
    pub(crate) fn word_maybe<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
    ) -> Result<Option<T>, StoreError> {
        let word: Option<String> = self.next()?;
        word.map(|word| word.parse().map_err(|error| damaged(&error))).transpose()
    }

    /// The next cell as a number or name that keeps a rule.
    pub(crate) fn name<T>(
        &mut self,
        new: impl FnOnce(String) -> Result<T, NumberError>,
    ) -> Result<T, StoreError> {
        new(self.next()?).map_err(|error| damaged(&error))
    }

    /// The next two cells.
    pub(crate) fn scope(&mut self) -> Result<Scope, StoreError> {
        Ok(Scope { app: self.name(AppName::new)?, mode: self.word::<Mode>()? })
    }

    /// Whether the cell is empty, without moving on.
    pub(crate) fn is_null(&self) -> Result<bool, StoreError> {
        Ok(self.row.cell::<Option<Uuid>>(self.at)?.is_none())
    }
}

/// A row cannot be read as what it should be.
pub(crate) fn damaged(cause: &dyn std::fmt::Display) -> StoreError {
    StoreError(format!("a row does not read back: {cause}"))
}

pub(crate) fn id(id: Uuid) -> Value {
    Value::Uuid(Some(id))
}

pub(crate) fn id_maybe(id: Option<Uuid>) -> Value {
    Value::Uuid(id)
}

pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::String(Some(text.into()))
}

pub(crate) fn text_maybe(text: Option<String>) -> Value {
    Value::String(text)
}

pub(crate) fn number(number: i64) -> Value {
    Value::BigInt(Some(number))
}

pub(crate) fn number_maybe(number: Option<i64>) -> Value {
    Value::BigInt(number)
}

pub(crate) fn time(time: Timestamp) -> Value {
    number(time.as_micros())
}

pub(crate) fn time_maybe(time: Option<Timestamp>) -> Value {
    number_maybe(time.map(Timestamp::as_micros))
}
