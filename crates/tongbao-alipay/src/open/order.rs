//! The members that every order has, whichever operation places it. Alipay, `alipay.trade.page.pay`
//! and `alipay.trade.precreate`, 请求参数.

use super::members::{Reader, Writer};
use crate::beijing;
use crate::error::{Refusal, ReplyError};
use tongbao_types::{Amount, Fen, MoneyError, OutTradeNo, Span, Timestamp};

/// When an order that nobody pays closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// `time_expire`: at a moment, whole seconds.
    At(Timestamp),
    /// `timeout_express`: so long after the trade was created at Alipay; whole minutes, from one
    /// minute to 15 days.
    After(Span),
    /// `timeout_express` of `1c`: at the coming midnight in Beijing.
    Midnight,
}

/// What shall be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// The amount, in fen.
    pub total_amount: Amount,
    /// What the buyer reads, at most 256 characters.
    pub subject: String,
    /// `product_code`; each operation has its own.
    pub product_code: String,
    /// A longer description, at most 128 characters.
    pub body: Option<String>,
    /// When it closes; without one, Alipay's default.
    pub expiry: Option<Expiry>,
    /// `passback_params`: comes back in the notification.
    pub passback_params: Option<String>,
    /// `seller_id`: who gets the money, if not the contract's own account.
    pub seller_id: Option<String>,
}

impl Order {
    pub(crate) fn write(&self) -> Writer {
        let writer = Writer::new()
            .text("out_trade_no", self.out_trade_no.as_str())
            .text("total_amount", &self.total_amount.fen().to_yuan())
            .text("subject", &self.subject)
            .text("product_code", &self.product_code)
            .maybe("body", self.body.as_deref())
            .maybe("passback_params", self.passback_params.as_deref())
            .maybe("seller_id", self.seller_id.as_deref());
        match self.expiry {
            None => writer,
            Some(Expiry::At(moment)) => writer.time("time_expire", Some(moment)),
            Some(Expiry::After(span)) => writer.text("timeout_express", &minutes(span)),
            Some(Expiry::Midnight) => writer.text("timeout_express", "1c"),
        }
    }

    /// Our number in a reply, which must be that of this order.
    pub(crate) fn own_number(&self, members: &Reader) -> Result<OutTradeNo, ReplyError> {
        let number = members.out_trade_no()?;
        if number == self.out_trade_no { Ok(number) } else { Err(ReplyError::OtherOrder) }
    }

    /// The gateway's side. Members that it does not know are passed over, as the gateway does.
    pub(crate) fn read(biz: &Reader) -> Result<Order, Refusal> {
        let required = |name: &str| biz.text(name).ok_or_else(|| wrong(name));
        let out_trade_no = required("out_trade_no")?;
        if !OutTradeNo::fits_alipay(&out_trade_no) {
            return Err(wrong("out_trade_no"));
        }
        let subject = required("subject")?;
        if subject.chars().count() > 256 {
            return Err(wrong("subject"));
        }
        Ok(Order {
            out_trade_no: OutTradeNo::new(out_trade_no).map_err(|_| wrong("out_trade_no"))?,
            total_amount: amount(&required("total_amount")?)?,
            subject,
            product_code: biz.text("product_code").unwrap_or_default(),
            body: biz.text("body"),
            expiry: expiry(biz)?,
            passback_params: biz.text("passback_params"),
            seller_id: biz.text("seller_id"),
        })
    }
}

/// `ACQ.INVALID_PARAMETER` that names the member.
pub(super) fn wrong(name: &str) -> Refusal {
    Refusal::ACQ_INVALID_PARAMETER.saying(format!("参数无效：{name}"))
}

fn amount(text: &str) -> Result<Amount, Refusal> {
    let fen = match text.strip_prefix('-') {
        Some(positive) if Fen::from_yuan(positive).is_ok() => {
            return Err(Refusal::TOTAL_FEE_EXCEED);
        }
        _ => Fen::from_yuan(text).map_err(|_| wrong("total_amount"))?,
    };
    Amount::new(fen).map_err(|_: MoneyError| Refusal::TOTAL_FEE_EXCEED)
}

/// `time_expire` wins if both are given.
fn expiry(biz: &Reader) -> Result<Option<Expiry>, Refusal> {
    if let Some(text) = biz.text("time_expire") {
        // The documentation has seconds; some clients leave them out.
        let full = if text.len() == 16 { format!("{text}:00") } else { text };
        let moment = beijing::parse(&full).ok_or_else(|| wrong("time_expire"))?;
        return Ok(Some(Expiry::At(moment)));
    }
    let Some(text) = biz.text("timeout_express") else { return Ok(None) };
    timeout(&text).map(Some).ok_or_else(|| wrong("timeout_express"))
}

/// Reads `timeout_express`; never [`Expiry::At`].
pub(crate) fn timeout(text: &str) -> Option<Expiry> {
    if text == "1c" {
        return Some(Expiry::Midnight);
    }
    let unit = text.chars().last()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || digits.len() > 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let span = Span::from_seconds(digits.parse::<i64>().ok()? * seconds);
    (LEAST..=MOST).contains(&span).then_some(Expiry::After(span))
}

const LEAST: Span = Span::from_seconds(60);
const MOST: Span = Span::from_seconds(15 * 86_400);

/// Rounded up to whole minutes and kept within the limits.
pub(crate) fn minutes(span: Span) -> String {
    let span = span.clamp(LEAST, MOST);
    format!("{}m", (span.as_seconds() + 59) / 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(biz: &str) -> Result<Order, Refusal> {
        Order::read(&Reader::read(biz).unwrap())
    }

    fn with(more: &str) -> String {
        format!(r#"{{"out_trade_no":"T1","total_amount":"88.88","subject":"茶"{more}}}"#)
    }

    fn order() -> Order {
        read(&with("")).unwrap()
    }

    #[test]
    fn an_order_reads_back() {
        let at: Timestamp = "2026-11-21T06:30:00Z".parse().unwrap();
        for expiry in
            [None, Some(Expiry::At(at)), Some(Expiry::Midnight), Some(Expiry::After(MOST))]
        {
            let sent = Order {
                product_code: "QR_CODE_OFFLINE".into(),
                body: Some("a/b".into()),
                passback_params: Some("x%3D1".into()),
                seller_id: Some("2088000000000001".into()),
                expiry,
                ..order()
            };
            assert_eq!(read(&sent.write().to_biz_content()), Ok(sent));
        }
    }

    #[test]
    fn amounts_outside_the_limits_are_refused_in_the_gateways_words() {
        let check = |amount: &str, wanted: Option<&str>| {
            let biz = format!(r#"{{"out_trade_no":"T1","total_amount":{amount},"subject":"x"}}"#);
            assert_eq!(read(&biz).err().map(|r| r.sub_code), wanted, "{amount}");
        };
        check("\"0.01\"", None);
        check("88.88", None);
        check("88", None);
        check("\"100000000.00\"", None);
        check("\"100000000.01\"", Some("ACQ.TOTAL_FEE_EXCEED"));
        check("\"0.00\"", Some("ACQ.TOTAL_FEE_EXCEED"));
        check("\"-1.00\"", Some("ACQ.TOTAL_FEE_EXCEED"));
        check("\"0.010\"", Some("ACQ.INVALID_PARAMETER"));
        check("\"1e2\"", Some("ACQ.INVALID_PARAMETER"));
        check("null", Some("ACQ.INVALID_PARAMETER"));
        check("{}", Some("ACQ.INVALID_PARAMETER"));
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        for (biz, name) in [
            (r#"{"total_amount":"1.00","subject":"x"}"#.to_owned(), "out_trade_no"),
            (
                r#"{"out_trade_no":"a-b","total_amount":"1.00","subject":"x"}"#.into(),
                "out_trade_no",
            ),
            (r#"{"out_trade_no":"a","total_amount":"1.00"}"#.into(), "subject"),
            (with(r#","time_expire":"tomorrow""#), "time_expire"),
            (with(r#","timeout_express":"1.5h""#), "timeout_express"),
        ] {
            let refusal = read(&biz).unwrap_err();
            assert_eq!(refusal.sub_code, "ACQ.INVALID_PARAMETER");
            assert!(refusal.sub_msg.ends_with(name), "{biz} {}", refusal.sub_msg);
        }
    }

    #[test]
    fn time_expire_wins_and_spans_keep_their_limits() {
        let both = with(r#","time_expire":"2026-11-21 14:30","timeout_express":"90m""#);
        let at: Timestamp = "2026-11-21T06:30:00Z".parse().unwrap();
        assert_eq!(read(&both).unwrap().expiry, Some(Expiry::At(at)));
        let after = |seconds| Some(Expiry::After(Span::from_seconds(seconds)));
        for (text, wanted) in [
            ("90m", after(5400)),
            ("2h", after(7200)),
            ("15d", after(1_296_000)),
            ("1c", Some(Expiry::Midnight)),
            ("16d", None),
            ("0m", None),
            ("2c", None),
            ("m", None),
            ("", None),
            ("90", None),
            ("9时", None),
            ("999999m", None),
        ] {
            assert_eq!(timeout(text), wanted, "{text:?}");
        }
        assert_eq!(minutes(Span::from_seconds(61)), "2m");
        assert_eq!(minutes(Span::ZERO), "1m");
        assert_eq!(minutes(Span::from_seconds(99_999_999)), "21600m");
    }

    proptest! {
        #[test]
        fn hostile_texts_never_panic(text: String) {
            let _ = timeout(&text);
            let _ = amount(&text);
        }
    }
}
