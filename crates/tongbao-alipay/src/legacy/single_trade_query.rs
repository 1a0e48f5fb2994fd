//! `single_trade_query`: where a trade of the old gateway stands. Alipay, 单笔交易查询接口.
//!
//! The answer is XML, read as events within bounds; what a document type, an attribute or an
//! element that comes twice could smuggle in is refused. The echo of the request is passed over.

use super::PATH;
use super::account::Credentials;
use super::error::Refusal;
use super::sign::{self, SIGN_TYPE};
use crate::error::ReplyError;
use crate::open::TradeRef;
use crate::{Charset, Params, TradeStatus, beijing};
use bytes::Bytes;
use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_xml_entity};
use quick_xml::events::Event;
use std::collections::BTreeMap;
use tongbao_types::{
    Fen, HttpRequest, HttpResponse, Method, OutTradeNo, Secret, Timestamp, TradeNo,
};

/// The service's name.
pub const SERVICE: &str = "single_trade_query";

const SIZE_MAX: usize = 64 * 1024;
const DEPTH_MAX: usize = 4;
const TRADE: &str = "alipay/response/trade/";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleTradeQuery {
    /// Which trade.
    pub trade: TradeRef,
}

/// What the gateway says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradeAnswer {
    /// The trade, signed.
    Found(Trade),
    /// Its word of refusal, such as `TRADE_NOT_EXIST`. It is not signed, so that it is no proof
    /// that a trade was not paid.
    Refused(String),
}

/// A trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: TradeNo,
    /// Where it stands.
    pub trade_status: TradeStatus,
    /// The order's amount, in fen: the one to compare.
    pub total_fee: Fen,
    /// The buyer's user id (2088…).
    pub buyer_id: Option<String>,
    /// The buyer's account.
    pub buyer_email: Option<String>,
    /// When it was created.
    pub gmt_create: Option<Timestamp>,
    /// When it was paid.
    pub gmt_payment: Option<Timestamp>,
}

impl SingleTradeQuery {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials) -> HttpRequest {
        let mut params = Params::new(Charset::Utf8);
        params.set("service", SERVICE);
        params.set("partner", credentials.partner());
        params.set("_input_charset", Charset::Utf8.name());
        match &self.trade {
            TradeRef::Out(no) => params.set("out_trade_no", no.as_str()),
            TradeRef::Trade(no) => params.set("trade_no", no.as_str()),
        }
        let signature = sign::sign(credentials.key(), &sign::string(&params));
        params.set("sign", &signature);
        params.set("sign_type", SIGN_TYPE);
        HttpRequest {
            method: Method::Get,
            target: format!("{PATH}?{}", params.to_form()),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Reads what came back: status, syntax, signature, members, number.
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
    ) -> Result<TradeAnswer, ReplyError> {
        if response.status != 200 {
            return Err(ReplyError::HttpStatus(response.status));
        }
        let leaves = leaves(&response.body)?;
        let leaf = |path: &str| leaves.get(path).map(String::as_str);
        match leaf("alipay/is_success") {
            Some("F") => {
                let word = leaf("alipay/error").ok_or(ReplyError::Malformed("error"))?;
                return Ok(TradeAnswer::Refused(word.chars().take(64).collect()));
            }
            Some("T") => {}
            _ => return Err(ReplyError::Malformed("is_success")),
        }
        let signature = leaf("alipay/sign").ok_or(ReplyError::SignatureMissing)?;
        let params = trade_params(&leaves);
        if leaf("alipay/sign_type") != Some(SIGN_TYPE)
            || !sign::verify(credentials.key(), &sign::string(&params), signature)
        {
            return Err(ReplyError::SignatureMismatch);
        }
        let trade = Trade::read(&params)?;
        self.trade.check(&trade.out_trade_no, Some(&trade.trade_no))?;
        Ok(TradeAnswer::Found(trade))
    }

    /// The gateway's side, once the signature is checked; `trade_no` wins if both are given.
    pub fn read(params: &Params) -> Result<SingleTradeQuery, Refusal> {
        let wrong = |_| Refusal::ILLEGAL_ARGUMENT;
        let trade = match (params.filled("trade_no"), params.filled("out_trade_no")) {
            (Some(no), _) => TradeRef::Trade(TradeNo::new(no).map_err(wrong)?),
            (None, Some(no)) => TradeRef::Out(OutTradeNo::new(no).map_err(wrong)?),
            (None, None) => return Err(Refusal::ILLEGAL_ARGUMENT),
        };
        Ok(SingleTradeQuery { trade })
    }
}

impl Trade {
    /// The gateway's side: the reply.
    pub fn encode(&self, key: &Secret<String>) -> HttpResponse {
        let mut params = Params::new(Charset::Utf8);
        let time = |moment: Option<Timestamp>| moment.map(beijing::print).unwrap_or_default();
        params.set("out_trade_no", self.out_trade_no.as_str());
        params.set("trade_no", self.trade_no.as_str());
        params.set("trade_status", self.trade_status.as_str());
        params.set("total_fee", &self.total_fee.to_yuan());
        params.set("buyer_id", self.buyer_id.as_deref().unwrap_or(""));
        params.set("buyer_email", self.buyer_email.as_deref().unwrap_or(""));
        params.set("gmt_create", &time(self.gmt_create));
        params.set("gmt_payment", &time(self.gmt_payment));
        let names: Vec<String> = params.iter().map(|(name, _)| name.to_owned()).collect();
        let element = |name: &String| {
            let text = params.text(name).unwrap_or_default();
            format!("<{name}>{}</{name}>", escape(text.as_ref()))
        };
        let children: String = names.iter().map(element).collect();
        let signature = sign::sign(key, &sign::string(&params));
        answer(&format!(
            "<is_success>T</is_success><response><trade>{children}</trade></response>\
             <sign>{signature}</sign><sign_type>{SIGN_TYPE}</sign_type>"
        ))
    }

    fn read(params: &Params) -> Result<Trade, ReplyError> {
        let text = |name: &str| params.filled(name).map(|text| text.into_owned());
        let required = |name| text(name).ok_or(ReplyError::Malformed(name));
        let time = |name| match text(name) {
            None => Ok(None),
            Some(text) => beijing::parse(&text).map(Some).ok_or(ReplyError::Malformed(name)),
        };
        let out_trade_no = OutTradeNo::new(required("out_trade_no")?);
        let trade_no = TradeNo::new(required("trade_no")?);
        let total_fee = Fen::from_yuan(&required("total_fee")?);
        Ok(Trade {
            out_trade_no: out_trade_no.map_err(|_| ReplyError::Malformed("out_trade_no"))?,
            trade_no: trade_no.map_err(|_| ReplyError::Malformed("trade_no"))?,
            trade_status: TradeStatus::from_word(&required("trade_status")?),
            total_fee: total_fee.map_err(|_| ReplyError::Malformed("total_fee"))?,
            buyer_id: text("buyer_id"),
            buyer_email: text("buyer_email"),
            gmt_create: time("gmt_create")?,
            gmt_payment: time("gmt_payment")?,
        })
    }
}

/// The gateway's side: the reply that refuses.
pub fn refuse(refusal: &Refusal) -> HttpResponse {
    answer(&format!("<is_success>F</is_success><error>{}</error>", refusal.code))
}

fn answer(inside: &str) -> HttpResponse {
    let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><alipay>{inside}</alipay>");
    HttpResponse::new(200, "text/xml;charset=utf-8", body)
}

/// The children of the trade, as parameters for the rule of signing.
fn trade_params(leaves: &BTreeMap<String, String>) -> Params {
    let mut params = Params::new(Charset::Utf8);
    for (path, text) in leaves {
        if let Some(name) = path.strip_prefix(TRADE) {
            params.set(name, text);
        }
    }
    params
}

/// The texts of elements without children, by their path; those of the request's echo left out.
fn leaves(body: &[u8]) -> Result<BTreeMap<String, String>, ReplyError> {
    let text = std::str::from_utf8(body).map_err(|_| ReplyError::NotXml)?;
    if text.len() > SIZE_MAX {
        return Err(ReplyError::NotXml);
    }
    let mut reader = Reader::from_str(text.trim_ascii());
    let mut reading = Reading::default();
    loop {
        match reader.read_event() {
            Ok(Event::Eof) if reading.is_over => return Ok(reading.leaves),
            Ok(event) => reading.take(event).ok_or(ReplyError::NotXml)?,
            Err(_) => return Err(ReplyError::NotXml),
        }
    }
}

/// How far the reading is.
#[derive(Default)]
struct Reading {
    path: Vec<String>,
    text: String,
    leaves: BTreeMap<String, String>,
    is_over: bool,
}

impl Reading {
    fn take(&mut self, event: Event<'_>) -> Option<()> {
        match event {
            Event::Decl(_) if self.path.is_empty() && !self.is_over => Some(()),
            Event::Comment(_) => Some(()),
            Event::Start(tag) => self.start(&tag),
            Event::Empty(tag) => {
                self.start(&tag)?;
                self.end()
            }
            Event::End(_) => self.end(),
            Event::Text(text) => self.push(&text.xml10_content()),
            Event::CData(text) => self.push(&text.xml10_content()),
            Event::GeneralRef(entity) => match entity.resolve_char_ref().ok()? {
                Some(c) => self.push(c.encode_utf8(&mut [0; 4])),
                None => self.push(resolve_xml_entity(&entity.xml10_content())?),
            },
            _ => None,
        }
    }

    fn start(&mut self, tag: &quick_xml::events::BytesStart<'_>) -> Option<()> {
        let name = tag.name();
        let name: &str = name.as_ref();
        let has_room = !self.is_over && self.path.len() < DEPTH_MAX;
        let is_right = !self.path.is_empty() || name == "alipay";
        let is_plain = self.is_echo() || tag.attributes().next().is_none();
        if !(has_room && is_right && is_plain) {
            return None;
        }
        self.path.push(name.to_owned());
        self.text.clear();
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        let path = self.path.join("/");
        let text = std::mem::take(&mut self.text);
        let is_echo = self.is_echo();
        self.path.pop()?;
        self.is_over = self.path.is_empty();
        if text.trim().is_empty() || is_echo {
            return Some(());
        }
        self.leaves.insert(path, text).is_none().then_some(())
    }

    fn push(&mut self, text: &str) -> Option<()> {
        if self.path.is_empty() && !text.trim().is_empty() {
            return None;
        }
        self.text.push_str(text);
        Some(())
    }

    fn is_echo(&self) -> bool {
        self.path.get(1).is_some_and(|name| name == "request")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legacy::LegacyRequest;
    use proptest::prelude::*;

    fn merchant() -> Credentials {
        Credentials::new("2088000000000001", "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6", None).unwrap()
    }

    fn call() -> SingleTradeQuery {
        SingleTradeQuery { trade: TradeRef::Out(OutTradeNo::new("150658495585026").unwrap()) }
    }

    fn trade() -> Trade {
        Trade {
            out_trade_no: OutTradeNo::new("150658495585026").unwrap(),
            trade_no: TradeNo::new("2026112100001000050000000001").unwrap(),
            trade_status: TradeStatus::TradeSuccess,
            total_fee: Fen(100),
            buyer_id: Some("2088000000000002".into()),
            buyer_email: Some("a&b<c>@example.com".into()),
            gmt_create: Some("2026-11-21T06:30:05Z".parse().unwrap()),
            gmt_payment: Some("2026-11-21T06:30:11Z".parse().unwrap()),
        }
    }

    fn decode(body: &str) -> Result<TradeAnswer, ReplyError> {
        call().decode(&merchant(), &HttpResponse::new(200, "text/xml", body.to_owned()))
    }

    fn body() -> String {
        String::from_utf8(trade().encode(merchant().key()).body.to_vec()).unwrap()
    }

    #[test]
    fn question_and_answer_pass_between_both_ends() {
        let by_trade_no = TradeRef::Trade(trade().trade_no);
        for call in [call(), SingleTradeQuery { trade: by_trade_no }] {
            let received = LegacyRequest::read(&call.encode(&merchant())).unwrap();
            assert_eq!(received.service().as_deref(), Some(SERVICE));
            assert_eq!(received.check(merchant().key()), Ok(()));
            assert_eq!(SingleTradeQuery::read(&received.params), Ok(call.clone()));
            let answer = call.decode(&merchant(), &trade().encode(merchant().key()));
            assert_eq!(answer, Ok(TradeAnswer::Found(trade())));
        }
        let refused = call().decode(&merchant(), &refuse(&Refusal::TRADE_NOT_EXIST));
        assert_eq!(refused, Ok(TradeAnswer::Refused("TRADE_NOT_EXIST".into())));
    }

    #[test]
    fn the_echo_of_the_request_is_passed_over() {
        let echo =
            "<request><param name=\"partner\">1</param><param name=\"sign\">x</param></request>";
        let with_echo = body().replace("<response>", &format!("{echo}<response>"));
        assert_eq!(decode(&with_echo), Ok(TradeAnswer::Found(trade())));
    }

    #[test]
    fn a_trade_that_is_not_signed_or_another_is_not_taken() {
        let mismatch = Err(ReplyError::SignatureMismatch);
        assert_eq!(decode(&body().replace("1.00", "9.00")), mismatch);
        assert_eq!(decode(&body().replace("<trade>", "<trade><more>1</more>")), mismatch);
        assert_eq!(decode(&body().replace("MD5", "RSA")), mismatch);
        let unsigned = body().replace("<sign>", "<sing>").replace("</sign>", "</sing>");
        assert_eq!(decode(&unsigned), Err(ReplyError::SignatureMissing));
        let other = Trade { out_trade_no: OutTradeNo::new("OTHER").unwrap(), ..trade() };
        let response = other.encode(merchant().key());
        assert_eq!(call().decode(&merchant(), &response), Err(ReplyError::OtherOrder));
        let refused = Err(ReplyError::HttpStatus(500));
        let response = HttpResponse { status: 500, ..trade().encode(merchant().key()) };
        assert_eq!(call().decode(&merchant(), &response), refused);
    }

    #[test]
    fn what_xml_can_smuggle_in_is_refused() {
        for wrong in [
            String::new(),
            "<html></html>".to_owned(),
            body().replace("<alipay>", "<!DOCTYPE a [<!ENTITY b \"c\">]><alipay>"),
            body().replace("1.00", "&b;"),
            body().replace("<trade>", "<trade x=\"1\">"),
            body().replace("<trade>", "<trade><total_fee>1.00</total_fee>"),
            format!("{}{}", body(), "<alipay></alipay>"),
            format!("{} more", body()),
            body().replace("</alipay>", ""),
            body().replace("<trade>", "<trade><a><b>1</b></a>"),
            format!("{}{}", body(), " ".repeat(SIZE_MAX)),
        ] {
            assert_eq!(decode(&wrong), Err(ReplyError::NotXml), "{wrong}");
        }
        let silent = "<alipay><response></response></alipay>";
        assert_eq!(decode(silent), Err(ReplyError::Malformed("is_success")));
    }

    proptest! {
        #[test]
        fn hostile_answers_never_panic(
            text in "(<alipay>|</alipay>|<a>|</a>|&|;|<!\\[CDATA\\[|.){0,40}",
        ) {
            prop_assert!(!matches!(decode(&text), Ok(TradeAnswer::Found(_))));
        }
    }
}
