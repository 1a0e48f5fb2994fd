//! Bills (对账单): a provider's account of one day, as a plan of calls.
//!
//! A [`BillPlan`] is a value: what to ask, and how to read what comes. The file itself may be large
//! and is not read here but streamed by the engine; [`crate::bill_lines`] takes it apart.

use crate::{Doubt, Exchange, Reply, Stamp};
use std::fmt;
use std::str::FromStr;
use tongbao_types::{HttpRequest, HttpResponse, Provider, UnknownWord};
pub use tongbao_wechat::BillDate;

/// Which account of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum BillKind {
    /// One line for each payment and each refund.
    #[default]
    Trade,
    /// One line for each movement of the merchant's balance.
    FundFlow,
}

impl BillKind {
    /// Every kind.
    pub const ALL: &'static [BillKind] = &[BillKind::Trade, BillKind::FundFlow];

    /// Its name in `/v1` and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            BillKind::Trade => "trade",
            BillKind::FundFlow => "fund_flow",
        }
    }
}

/// In what form a bill came, and is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BillPacking {
    /// Comma separated text.
    Text,
    /// The same, packed with gzip.
    Gzip,
    /// A zip of several such texts.
    Zip,
}

impl BillPacking {
    /// Every form.
    pub const ALL: &'static [BillPacking] =
        &[BillPacking::Text, BillPacking::Gzip, BillPacking::Zip];

    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            BillPacking::Text => "text",
            BillPacking::Gzip => "gzip",
            BillPacking::Zip => "zip",
        }
    }
}

impl FromStr for BillKind {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<BillKind, UnknownWord> {
        let found = BillKind::ALL.iter().find(|kind| kind.as_str() == word).copied();
        found.ok_or_else(|| unknown("kind of bill", word))
    }
}

impl FromStr for BillPacking {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<BillPacking, UnknownWord> {
        let found = BillPacking::ALL.iter().find(|packing| packing.as_str() == word).copied();
        found.ok_or_else(|| unknown("packing of a bill", word))
    }
}

fn unknown(what: &'static str, word: &str) -> UnknownWord {
    UnknownWord { what, word: word.chars().take(80).collect() }
}

/// Which bill is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillWanted {
    /// The day, in China.
    pub date: BillDate,
    /// Which account of it.
    pub kind: BillKind,
}

/// How a bill is fetched.
#[derive(Debug)]
pub enum BillPlan {
    /// The answer to this call is the file.
    Fetch(BillFetch),
    /// The answer to this call tells where the file is.
    Ask(Exchange<BillStep>),
}

/// What a provider says when asked for a bill.
#[derive(Debug)]
pub enum BillStep {
    /// It is there.
    Fetch(BillFetch),
    /// There is none for this day.
    Missing,
    /// It is being made.
    NotReady,
}

/// A call whose answer is a file. The address may die within half a minute, so it is made at once.
pub struct BillFetch {
    /// Scheme and host, without a trailing slash, if it is not the account's own. Nothing of the
    /// account is shown there.
    pub base: Option<String>,
    form: Form,
    request: Box<MakeRequest>,
    no_file: Box<ReadNoFile>,
}

type MakeRequest = dyn Fn(&Stamp) -> HttpRequest + Send + Sync;
type ReadNoFile = dyn Fn(&HttpResponse) -> Reply<BillStep> + Send + Sync;

/// Which file is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// WeChat's text, plain or packed, and what it hashes to where that was told.
    Wechat { sha1: Option<String> },
    /// Alipay's zip.
    Alipay,
}

/// So many bytes at the beginning of an answer tell a file from words, unless it is shorter.
pub const BILL_HEAD_BYTES: usize = 4096;

/// What is known of a file from its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillHead {
    /// In what form it comes.
    pub packing: BillPacking,
    /// What its text, unpacked, hashes to (SHA-1 in hex), where the provider told.
    pub sha1: Option<String>,
}

impl BillFetch {
    pub(crate) fn new(
        form: Form,
        request: impl Fn(&Stamp) -> HttpRequest + Send + Sync + 'static,
        no_file: impl Fn(&HttpResponse) -> Reply<BillStep> + Send + Sync + 'static,
    ) -> BillFetch {
        BillFetch { base: None, form, request: Box::new(request), no_file: Box::new(no_file) }
    }

    /// The same at another scheme and host.
    pub(crate) fn elsewhere(self, base: &str) -> BillFetch {
        BillFetch { base: Some(base.to_owned()), ..self }
    }

    /// What to send.
    pub fn request(&self, stamp: &Stamp) -> HttpRequest {
        (self.request)(stamp)
    }

    /// Whether a file comes, by status, headers and the first [`BILL_HEAD_BYTES`] of the body (or
    /// all of it, if it is shorter).
    pub fn begin(&self, start: &HttpResponse) -> Option<BillHead> {
        if start.status != 200 {
            return None;
        }
        match &self.form {
            Form::Alipay => {
                let is_zip =
                    [b"PK\x03\x04", b"PK\x05\x06"].iter().any(|m| start.body.starts_with(*m));
                is_zip.then_some(BillHead { packing: BillPacking::Zip, sha1: None })
            }
            Form::Wechat { sha1 } => {
                let packing = wechat_packing(&start.body)?;
                let told = start.header("Digest").and_then(|text| text.strip_prefix("SHA="));
                Some(BillHead { packing, sha1: sha1.clone().or(told.map(str::to_owned)) })
            }
        }
    }

    /// What an answer says that is no file: all of it, at most 64 KiB.
    pub fn read_words(&self, response: &HttpResponse) -> Reply<BillStep> {
        (self.no_file)(response)
    }
}

impl fmt::Debug for BillFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BillFetch").field("base", &self.base).field("form", &self.form).finish()
    }
}

/// A bill's first line names its columns; words about a bill have no comma in theirs, or are in
/// XML or JSON.
fn wechat_packing(head: &[u8]) -> Option<BillPacking> {
    if head.starts_with(b"\x1f\x8b") {
        return Some(BillPacking::Gzip);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let is_markup = matches!(text.first(), None | Some(b'<' | b'{' | b'['));
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    (!is_markup && line.contains(&b',')).then_some(BillPacking::Text)
}

/// An answer that is neither a bill nor words that are known.
pub(crate) fn odd_words(provider: Provider, response: &HttpResponse) -> Reply<BillStep> {
    let words = words_of(response);
    let status = response.status;
    let reason = format!("{provider} answered with status {status} and no bill: «{words}»");
    Reply::Unknown(Doubt { reason, keys_may_help: false })
}

/// The beginning of a text in whatever encoding, for a person.
pub(crate) fn words_of(response: &HttpResponse) -> String {
    let head = &response.body[..response.body.len().min(400)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text.to_owned(),
        // Only the end of a longer text may stand for a letter that was cut in two.
        Err(error) if head.len() < response.body.len() && error.error_len().is_none() => {
            String::from_utf8_lossy(&head[..error.valid_up_to()]).into_owned()
        }
        Err(_) => match tongbao_alipay::Charset::Gbk.decode(head) {
            Some(text) => text.into_owned(),
            None => String::from_utf8_lossy(head).into_owned(),
        },
    };
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(printable).take(120).collect::<String>().trim().to_owned()
}

/// Why an account has no bill of a kind, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BillHindrance(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for kind in BillKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        for packing in BillPacking::ALL {
            assert_eq!(packing.as_str().parse(), Ok(*packing));
        }
        assert!("".parse::<BillKind>().is_err() && "rar".parse::<BillPacking>().is_err());
    }

    #[test]
    fn a_file_is_told_from_words_by_its_beginning() {
        let check = |head: &[u8], wanted| assert_eq!(wechat_packing(head), wanted, "{head:?}");
        check("\u{feff}交易时间,公众账号ID".as_bytes(), Some(BillPacking::Text));
        check("交易时间,公众账号ID\r\n`1".as_bytes(), Some(BillPacking::Text));
        check(b"\x1f\x8b\x08", Some(BillPacking::Gzip));
        for words in [
            "",
            "\u{feff}",
            "<xml></xml>",
            "\u{feff} <xml>a,b</xml>",
            "{\"code\":\"A\",\"message\":\"B\"}",
            "No Bill Exist",
            "系统繁忙\na,b",
        ] {
            check(words.as_bytes(), None);
        }
    }

    #[test]
    fn words_are_shown_in_whatever_encoding() {
        let gbk = tongbao_alipay::Charset::Gbk.encode("账单\n不存在");
        assert_eq!(words_of(&HttpResponse::new(200, "x", gbk)), "账单 不存在");
        assert_eq!(words_of(&HttpResponse::new(200, "x", "账".repeat(300))), "账".repeat(120));
        assert_eq!(words_of(&HttpResponse::new(200, "x", &b"\xff\xff\xff"[..])).chars().count(), 3);
    }
}
