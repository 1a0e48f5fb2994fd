//! The body of `POST /capi/api/v1/charge`. Limits are those of `/v1`; texts that are only shown are
//! cut to them, everything else is refused.
//!
//! What `/v1` has no field for is kept in the charge's metadata, under the same names.

use crate::fields::Fields;
use std::net::IpAddr;
use tongbao_engine::{Error, NewCharge};
use tongbao_types::{Amount, Code, Fen, MoneyError, Profile};

/// What is wanted, each part checked.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) new: NewCharge,
    /// Whether money is real; `None`: as is usual for this caller.
    pub(super) livemode: Option<bool>,
    /// Through whom, if nothing else is said when the pay address is fetched.
    pub(super) channel: Option<By>,
    pub(super) source: Source,
}

/// Through whom a charge is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Alipay,
    Wechat,
}

/// What the payer looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A computer.
    Pc,
    /// A phone, which `weixin` (WeChat's own browser) is too.
    Phone,
}

impl Wanted {
    /// Fields that the older service did not know are passed over, as it did.
    pub(super) fn read(fields: &Fields) -> Result<Wanted, Error> {
        let amount = amount(fields.need("amount")?)?;
        let subject = cut(fields.need("subject")?, SUBJECT_MAX);
        let body = fields.get("body").map(|text| cut(text, BODY_MAX));
        check("subject", &subject, is_shown)?;
        let is_text = |c| is_shown(c) || matches!(c, '\n' | '\r' | '\t');
        body.as_deref().map(|text| check("body", text, is_text)).transpose()?;
        let return_url = fields.get("return_url").map(page_address).transpose()?;
        let client_ip = fields.get("client_ip").map(client_ip).transpose()?;
        let channel = fields.get("channel").map(By::read).transpose()?;
        let source = fields.get("source").map_or(Ok(Source::Pc), Source::read)?;
        Ok(Wanted {
            new: NewCharge {
                order_no: None,
                amount,
                subject,
                body,
                attach: None,
                return_url,
                client_ip,
                payer: None,
                metadata: notes(fields)?,
                profile: Some(Profile::Capi),
                // The channel comes with the pay address, so the charge waits for it.
                channel: None,
                account: None,
                expires: None,
            },
            livemode: fields.get("livemode").map(livemode).transpose()?,
            channel,
            source,
        })
    }
}

impl By {
    pub(super) fn read(word: &str) -> Result<By, Error> {
        match word {
            "ALIPAY" => Ok(By::Alipay),
            "WECHAT" => Ok(By::Wechat),
            _ => Err(wrong("channel", "channel is ALIPAY or WECHAT.")),
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            By::Alipay => "ALIPAY",
            By::Wechat => "WECHAT",
        }
    }
}

impl Source {
    pub(super) fn read(word: &str) -> Result<Source, Error> {
        match word {
            "pc" => Ok(Source::Pc),
            "mobile" | "weixin" => Ok(Source::Phone),
            _ => Err(wrong("source", "source is pc, mobile or weixin.")),
        }
    }
}

/// A note in a charge's metadata.
pub(super) fn note<'a>(metadata: &'a [(String, String)], name: &str) -> Option<&'a str> {
    metadata.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What `/v1` takes of each.
const SUBJECT_MAX: usize = 127;
const BODY_MAX: usize = 1000;
const ADDRESS_MAX: usize = 500;
/// An app's own number of an order, and the app's number.
const NUMBER_MAX: usize = 64;

fn notes(fields: &Fields) -> Result<Vec<(String, String)>, Error> {
    let names = [("channel", 8), ("notify_url", ADDRESS_MAX), ("papp", NUMBER_MAX), ("source", 8)];
    let mut notes = Vec::new();
    for (name, max) in names.into_iter().chain([("trade_no", NUMBER_MAX)]) {
        let Some(text) = fields.get(name) else { continue };
        if text.chars().count() > max {
            return Err(wrong(name, format!("{name} is longer than {max} characters.")));
        }
        check(name, text, is_shown)?;
        notes.push((name.to_owned(), text.to_owned()));
    }
    Ok(notes)
}

/// A count of fen, in digits: no point, sign or exponent, so that 19.9 is never taken for yuan.
fn amount(text: &str) -> Result<Amount, Error> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = "amount is a whole number of fen, such as 100 for CNY 1.00.";
        return Err(wrong("amount", message));
    }
    // Digits that are no i64 are too many.
    let fen = text.parse().unwrap_or(i64::MAX);
    Amount::new(Fen(fen)).map_err(|cause| {
        let code = match cause {
            MoneyError::TooSmall => Code::AmountTooSmall,
            _ => Code::AmountTooLarge,
        };
        Error::new(code, format!("amount: {cause}.")).param("amount")
    })
}

fn livemode(text: &str) -> Result<bool, Error> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(wrong("livemode", "livemode is true or false.")),
    }
}

fn client_ip(text: &str) -> Result<String, Error> {
    let address: Result<IpAddr, _> = text.parse();
    let message = "client_ip is an IP address, such as 203.0.113.7.";
    address.map(|address| address.to_string()).map_err(|_| wrong("client_ip", message))
}

/// A page that a browser may be sent to: an absolute address of the web, in plain characters.
fn page_address(text: &str) -> Result<String, Error> {
    let uri: Result<http::Uri, _> = text.parse();
    let is_web = uri.is_ok_and(|uri| {
        let host = uri.host().is_some_and(|host| !host.is_empty());
        matches!(uri.scheme_str(), Some("http" | "https")) && host
    });
    if is_web && text.is_ascii() && text.len() <= ADDRESS_MAX {
        return Ok(text.to_owned());
    }
    let message = "return_url is an address of at most 500 characters that begins with https:// or \
                   http://.";
    Err(wrong("return_url", message))
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

fn check(name: &str, text: &str, fits: impl Fn(char) -> bool) -> Result<(), Error> {
    if text.chars().all(fits) {
        return Ok(());
    }
    Err(wrong(name, format!("{name} has characters that cannot be shown.")))
}

/// Not what XML cannot carry, nor line breaks.
fn is_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

fn wrong(name: &str, message: impl Into<String>) -> Error {
    Error::new(Code::InvalidParameter, message).param(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Wanted, Error> {
        let mut text = more.to_owned();
        for (name, usual) in [("subject=", "Tea"), ("amount=", "100")] {
            if !more.split('&').any(|field| field.starts_with(name)) {
                text = format!("{text}&{name}{usual}");
            }
        }
        Wanted::read(&Fields::of_form(&text).unwrap())
    }

    #[track_caller]
    fn refused(more: &str, param: &str) {
        let error = read(more).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{more}");
    }

    #[test]
    fn yuan_as_floating_point_are_no_amount() {
        for wrong in ["19.9", "0.03", "100.0", "1e2", "-1", "%2B1", "100%20", "一"] {
            refused(&format!("amount={wrong}"), "amount");
        }
        assert_eq!(read("amount=0").unwrap_err().code, Code::AmountTooSmall);
        let huge = "9".repeat(30);
        assert_eq!(read(&format!("amount={huge}")).unwrap_err().code, Code::AmountTooLarge);
        assert_eq!(read("amount=1990").unwrap().new.amount.fen(), Fen(1990));
    }

    #[test]
    fn what_v1_would_refuse_is_refused() {
        for (more, param) in [
            ("subject=a%0Ab", "subject"),
            ("body=a%00b", "body"),
            ("channel=PAYPAL", "channel"),
            ("source=tv", "source"),
            ("livemode=maybe", "livemode"),
            ("client_ip=here", "client_ip"),
            ("return_url=javascript:alert(1)", "return_url"),
            ("return_url=//evil.example", "return_url"),
            ("trade_no=a%0D%0Ab", "trade_no"),
        ] {
            refused(more, param);
        }
        refused(&format!("trade_no={}", "x".repeat(65)), "trade_no");
        refused(&format!("notify_url=https://a.example/{}", "x".repeat(500)), "notify_url");
        refused(&format!("return_url=https://a.example/{}", "x".repeat(500)), "return_url");
    }

    #[test]
    fn what_is_only_shown_is_cut() {
        let long = "茶".repeat(2000);
        let wanted = read(&format!("subject={long}&body={long}")).unwrap();
        assert_eq!(wanted.new.subject.chars().count(), 127);
        assert_eq!(wanted.new.body.unwrap().chars().count(), 1000);
    }

    #[test]
    fn what_v1_has_no_field_for_is_noted() {
        let more = "trade_no=43&papp=101&source=weixin&channel=WECHAT&livemode=False\
                    &notify_url=https%3A%2F%2Fshop.example%2Fn&unknown=x";
        let wanted = read(more).unwrap();
        assert_eq!((wanted.livemode, wanted.channel), (Some(false), Some(By::Wechat)));
        assert_eq!(wanted.source, Source::Phone);
        let notes = &wanted.new.metadata;
        assert_eq!(note(notes, "trade_no"), Some("43"));
        assert_eq!(note(notes, "papp"), Some("101"));
        assert_eq!(note(notes, "notify_url"), Some("https://shop.example/n"));
        assert_eq!(note(notes, "unknown"), None);
        assert_eq!(notes.len(), 5);
    }
}
