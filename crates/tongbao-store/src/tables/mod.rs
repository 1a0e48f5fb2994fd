//! The tables, one noun each: names of columns, and how a row becomes a value of the core and back.
//!
//! `row` and `read` of a table list the columns in the same order as its `COLUMNS`; the conformance
//! suite goes red where they differ. No statement is made here.

pub(crate) mod api_keys;
pub(crate) mod attempts;
pub(crate) mod charges;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod events;
pub(crate) mod idempotency_keys;
pub(crate) mod jobs;
mod json;
pub(crate) mod refused_notices;

use sea_orm::{QueryResult, TryGetable, Value};
use std::str::FromStr;
use tongbao_core::Scope;
use tongbao_engine::StoreError;
use tongbao_types::{AppName, Mode, NumberError, Timestamp};
use uuid::Uuid;

/// Reads a row's cells from left to right.
pub(crate) struct Cells<'a> {
    row: &'a QueryResult,
    at: usize,
}

impl<'a> Cells<'a> {
    /// Begins at a column.
    pub(crate) fn of(row: &'a QueryResult, at: usize) -> Cells<'a> {
        Cells { row, at }
    }

    /// The next cell.
    pub(crate) fn next<T: TryGetable>(&mut self) -> Result<T, StoreError> {
        let cell = self.row.try_get_by_index(self.at);
        self.at += 1;
        cell.map_err(|error| damaged(&error))
    }

    /// The next cell as an id.
    pub(crate) fn id<T: From<Uuid>>(&mut self) -> Result<T, StoreError> {
        Ok(T::from(self.next::<Uuid>()?))
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
        let cell = self.row.try_get_by_index::<Option<Uuid>>(self.at);
        Ok(cell.map_err(|error| damaged(&error))?.is_none())
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

pub(crate) fn time(time: Timestamp) -> Value {
    number(time.as_micros())
}

pub(crate) fn time_maybe(time: Option<Timestamp>) -> Value {
    Value::BigInt(time.map(Timestamp::as_micros))
}
