//! The members of a JSON object: written as the gateway writes them, read as tolerantly as the
//! gateway's own clients must.

use super::sign::RawMembers;
use crate::beijing;
use crate::error::{Refusal, ReplyError};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tongbao_types::{Fen, OutTradeNo, Timestamp, TradeNo};

/// More items than any list in a message has.
const ITEMS_MAX: usize = 500;

/// Members to write. Absent and empty values are left out.
#[derive(Debug, Default, Clone)]
pub(crate) struct Writer(BTreeMap<&'static str, Value>);

impl Writer {
    pub(crate) fn new() -> Writer {
        Writer::default()
    }

    pub(crate) fn text(mut self, name: &'static str, value: &str) -> Writer {
        if !value.is_empty() {
            self.0.insert(name, value.into());
        }
        self
    }

    /// A list of texts; an empty one is left out.
    pub(crate) fn texts(mut self, name: &'static str, items: &[&str]) -> Writer {
        if !items.is_empty() {
            self.0.insert(name, items.to_vec().into());
        }
        self
    }

    /// A list of objects; an empty one is left out.
    pub(crate) fn list(mut self, name: &'static str, items: Vec<Writer>) -> Writer {
        if !items.is_empty() {
            self.0.insert(name, items.iter().map(Writer::value).collect());
        }
        self
    }

    pub(crate) fn maybe(self, name: &'static str, value: Option<&str>) -> Writer {
        self.text(name, value.unwrap_or(""))
    }

    pub(crate) fn fen(self, name: &'static str, value: Option<Fen>) -> Writer {
        self.maybe(name, value.map(Fen::to_yuan).as_deref())
    }

    pub(crate) fn time(self, name: &'static str, value: Option<Timestamp>) -> Writer {
        self.maybe(name, value.map(beijing::print).as_deref())
    }

    /// `Y` or `N`.
    pub(crate) fn flag(self, name: &'static str, value: bool) -> Writer {
        self.text(name, if value { "Y" } else { "N" })
    }

    /// The members that are texts.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((*name as &str, value.as_str()?)))
    }

    /// `biz_content` of a request.
    pub(crate) fn to_biz_content(&self) -> String {
        self.value().to_string()
    }

    /// The object of a successful reply: `code`, `msg`, then the members by name.
    pub(crate) fn to_reply(&self) -> String {
        self.to_reply_with("10000")
    }

    /// The same with another code that is no refusal, such as 10003.
    pub(crate) fn to_reply_with(&self, code: &'static str) -> String {
        self.object(&[("code", code), ("msg", crate::error::msg(code))])
    }

    /// The object of a refusal, with the members that even a refusal has.
    pub(crate) fn to_refusal(&self, refusal: &Refusal) -> String {
        self.object(&[
            ("code", refusal.code),
            ("msg", refusal.msg()),
            ("sub_code", refusal.sub_code),
            ("sub_msg", &refusal.sub_msg),
        ])
    }

    /// No blanks, and slashes escaped, as production prints them.
    fn object(&self, first: &[(&str, &str)]) -> String {
        let mut text = String::from("{");
        let first = first.iter().map(|(name, value)| (*name, (*value).into()));
        let rest = self.0.iter().map(|(name, value)| (*name, value.clone()));
        for (name, value) in first.chain(rest) {
            if text.len() > 1 {
                text.push(',');
            }
            let value = Value::to_string(&value).replace('/', "\\/");
            text.push_str(&format!("\"{name}\":{value}"));
        }
        text.push('}');
        text
    }

    fn value(&self) -> Value {
        let members = self.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Value::Object(members.collect::<Map<_, _>>())
    }
}

/// Members that were read. Numbers count as their text, since some clients write amounts so.
#[derive(Debug, Clone)]
pub(crate) struct Reader(Map<String, Value>);

impl Reader {
    /// `None` if the text is not a JSON object, or has a member twice (of which a JSON map would
    /// silently keep the last).
    pub(crate) fn read(text: &str) -> Option<Reader> {
        RawMembers::read(text).ok()?;
        serde_json::from_str(text).ok().map(Reader)
    }

    /// The member's text, if it has one that is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    pub(crate) fn required(&self, name: &'static str) -> Result<String, ReplyError> {
        self.text(name).ok_or(ReplyError::Malformed(name))
    }

    /// A member of a form of its own; `Ok(None)` if it is absent.
    pub(crate) fn read_as<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ReplyError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        read(&text).map(Some).ok_or(ReplyError::Malformed(name))
    }

    pub(crate) fn fen(&self, name: &'static str) -> Result<Option<Fen>, ReplyError> {
        self.read_as(name, |text| Fen::from_yuan(text).ok())
    }

    pub(crate) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, ReplyError> {
        self.read_as(name, beijing::parse)
    }

    /// `Y` or `N`.
    pub(crate) fn flag(&self, name: &'static str) -> Result<Option<bool>, ReplyError> {
        self.read_as(name, |flag| match flag {
            "Y" => Some(true),
            "N" => Some(false),
            _ => None,
        })
    }

    /// A list of objects, or JSON text of one; empty if it is absent.
    pub(crate) fn list(&self, name: &'static str) -> Result<Vec<Reader>, ReplyError> {
        let malformed = ReplyError::Malformed(name);
        let parsed = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::String(text)) if text.is_empty() => return Ok(Vec::new()),
            Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| malformed.clone()),
            Some(other) => Ok(other.clone()),
        };
        let Value::Array(items) = parsed? else { return Err(malformed) };
        if items.len() > ITEMS_MAX {
            return Err(malformed);
        }
        let object = |item| match item {
            Value::Object(members) => Ok(Reader(members)),
            _ => Err(malformed.clone()),
        };
        items.into_iter().map(object).collect()
    }

    /// A list of texts, for the gateway's side; what is none is passed over.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.0.get(name).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        texts.take(ITEMS_MAX).map(str::to_owned).collect()
    }

    pub(crate) fn trade_no(&self) -> Result<Option<TradeNo>, ReplyError> {
        self.read_as("trade_no", |text| TradeNo::new(text).ok())
    }

    pub(crate) fn out_trade_no(&self) -> Result<OutTradeNo, ReplyError> {
        let read = self.read_as("out_trade_no", |text| OutTradeNo::new(text).ok())?;
        read.ok_or(ReplyError::Malformed("out_trade_no"))
    }
}

/// Which trade a call is about. If both numbers are given, Alipay takes `trade_no`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradeRef {
    /// By our number.
    Out(OutTradeNo),
    /// By Alipay's number.
    Trade(TradeNo),
}

impl TradeRef {
    pub(crate) fn write(&self) -> Writer {
        match self {
            TradeRef::Out(no) => Writer::new().text("out_trade_no", no.as_str()),
            TradeRef::Trade(no) => Writer::new().text("trade_no", no.as_str()),
        }
    }

    /// The gateway's side.
    pub(crate) fn read(biz: &Reader) -> Result<TradeRef, Refusal> {
        let wrong = |_| Refusal::ACQ_INVALID_PARAMETER;
        if let Some(text) = biz.text("trade_no") {
            return TradeNo::new(text).map(TradeRef::Trade).map_err(wrong);
        }
        let text = biz.text("out_trade_no").ok_or(Refusal::ACQ_INVALID_PARAMETER)?;
        OutTradeNo::new(text).map(TradeRef::Out).map_err(wrong)
    }

    /// The gateway's side: our number, if the call gave it; many refusals repeat it.
    pub const fn out_trade_no(&self) -> Option<&OutTradeNo> {
        match self {
            TradeRef::Out(no) => Some(no),
            TradeRef::Trade(_) => None,
        }
    }

    /// A reply with these numbers must be about this trade.
    pub(crate) fn check(
        &self,
        out: &OutTradeNo,
        trade: Option<&TradeNo>,
    ) -> Result<(), ReplyError> {
        let is_own = match self {
            TradeRef::Out(no) => no == out,
            TradeRef::Trade(no) => Some(no) == trade,
        };
        if is_own { Ok(()) } else { Err(ReplyError::OtherOrder) }
    }
}
