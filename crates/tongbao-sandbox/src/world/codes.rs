//! Codes: those that an order is given to be paid with, and those on a payer's phone.

use super::World;
use crate::journal::{AuthCode, Code, Record};
use crate::numbers;
use crate::order::{Key, Product};
use tongbao_types::{Provider, Span, Timestamp};

/// How long a code_url, a prepay_id and a qr_code can be used.
const CODE_LIFE: Span = Span::from_seconds(2 * 3600);
/// How long the address of WeChat's H5 page can be used.
const H5_LIFE: Span = Span::from_seconds(300);

/// How long the code on a payer's phone can be used.
pub(crate) const AUTH_CODE_LIFE: Span = Span::from_seconds(60);

/// Why a code leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeRefusal {
    Unknown,
    Void,
    Expired,
}

/// Why the code on a payer's phone is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthCodeRefusal {
    /// It does not look like one.
    Malformed,
    Expired,
    Used,
}

impl World {
    /// Gives the order a code, or several that lead to it alike. WeChat's older codes of the order
    /// become void.
    pub(crate) fn issue_codes(&mut self, key: &Key, texts: &[&str], now: Timestamp) {
        if key.provider == Provider::Wechat {
            let older = self.codes_of.get(key).cloned().unwrap_or_default();
            older.iter().for_each(|text| self.void_code(text));
        }
        for text in texts {
            let text = (*text).to_owned();
            let code = Code { text, key: key.clone(), issued_at: now, void: false };
            self.journal.append(&Record::Code(code.clone()));
            self.insert_code(code);
        }
    }

    /// The codes that were issued for an order, oldest first.
    pub(crate) fn codes_of(&self, key: &Key) -> &[String] {
        self.codes_of.get(key).map_or(&[], Vec::as_slice)
    }

    /// What a scanned code belongs to.
    pub(crate) fn scan(&self, text: &str, now: Timestamp) -> Result<Key, CodeRefusal> {
        let code = self.codes.get(text).ok_or(CodeRefusal::Unknown)?;
        // A finished order is reported as such, whatever became of its code.
        let Some(trade) = self.trades.get(&code.key).filter(|trade| trade.is_waiting()) else {
            return Ok(code.key.clone());
        };
        let life = if trade.order.product == Product::WechatH5 { H5_LIFE } else { CODE_LIFE };
        if code.void {
            return Err(CodeRefusal::Void);
        }
        if now.since(code.issued_at) >= life {
            return Err(CodeRefusal::Expired);
        }
        Ok(code.key.clone())
    }

    /// The code that the payer's phone shows now: a new one each minute, and after each use.
    pub(crate) fn auth_code(&mut self, provider: Provider, now: Timestamp) -> AuthCode {
        let fresh =
            |code: &AuthCode| code.used_by.is_none() && now.since(code.issued_at) < AUTH_CODE_LIFE;
        let mut mine = self.auth_codes.values().filter(|code| code.provider == provider);
        if let Some(code) = mine.find(|code| fresh(code)) {
            return code.clone();
        }
        self.auth_codes.retain(|_, code| code.used_by.is_some() || fresh(code));
        let text = numbers::auth_code(provider);
        let code = AuthCode { text, provider, issued_at: now, used_by: None };
        self.keep_auth_code(code.clone());
        code
    }

    /// Uses up a code for an order. One that was never shown is taken if it looks like one, so that
    /// tests can make their own; the same order may come again with its own.
    pub(super) fn use_auth_code(
        &mut self,
        text: &str,
        key: &Key,
        now: Timestamp,
    ) -> Result<(), AuthCodeRefusal> {
        let provider = key.provider;
        if !looks_like_auth_code(provider, text) {
            return Err(AuthCodeRefusal::Malformed);
        }
        let known = self.auth_codes.get(text).filter(|code| code.provider == provider);
        match known.map(|code| (&code.used_by, code.issued_at)) {
            Some((Some(user), _)) if user != key => return Err(AuthCodeRefusal::Used),
            Some((Some(_), _)) => return Ok(()),
            Some((None, issued_at)) if now.since(issued_at) >= AUTH_CODE_LIFE => {
                return Err(AuthCodeRefusal::Expired);
            }
            _ => {}
        }
        let used_by = Some(key.clone());
        self.keep_auth_code(AuthCode { text: text.to_owned(), provider, issued_at: now, used_by });
        Ok(())
    }

    fn keep_auth_code(&mut self, code: AuthCode) {
        self.journal.append(&Record::AuthCode(code.clone()));
        self.auth_codes.insert(code.text.clone(), code);
    }

    fn void_code(&mut self, text: &str) {
        if let Some(code) = self.codes.get_mut(text).filter(|code| !code.void) {
            code.void = true;
            self.journal.append(&Record::Code(code.clone()));
        }
    }

    pub(super) fn insert_code(&mut self, code: Code) {
        let texts = self.codes_of.entry(code.key.clone()).or_default();
        if !texts.contains(&code.text) {
            texts.push(code.text.clone());
        }
        self.codes.insert(code.text.clone(), code);
    }
}

/// WeChat's have 18 digits and begin with 10 to 15, Alipay's 16 to 24 and 25 to 30.
fn looks_like_auth_code(provider: Provider, text: &str) -> bool {
    let begin: u8 = text.get(..2).and_then(|two| two.parse().ok()).unwrap_or(0);
    let (lengths, begins) = match provider {
        Provider::Wechat => (18..=18, 10..=15),
        Provider::Alipay => (16..=24, 25..=30),
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits && lengths.contains(&text.len()) && begins.contains(&begin)
}
