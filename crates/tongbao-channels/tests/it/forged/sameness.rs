//! When a mutated message still is the genuine one, by rules that share no code with tongbao's.
//! Whatever they do not list must be refused, and what they list must be believed.

use std::collections::BTreeMap;
use tongbao_types::HttpRequest;

type Fields = BTreeMap<String, Vec<u8>>;

/// WeChat API v2: white space around elements and before the end of a tag, a text written as CDATA,
/// with character references, or as it is, comments, the order of elements, and elements without a
/// text.
pub(crate) fn of_xml(genuine: &HttpRequest, mutated: &HttpRequest) -> bool {
    let fields = xml(&mutated.body);
    fields.is_some() && fields == xml(&genuine.body)
}

/// Alipay's forms: how a byte is escaped, the order of members, empty parts, and members without a
/// value. The form must still be posted.
pub(crate) fn of_form(genuine: &HttpRequest, mutated: &HttpRequest) -> bool {
    let fields = form(&mutated.body);
    fields.is_some() && fields == form(&genuine.body)
}

/// WeChat API v3: the body to the byte; the case of headers' names and of the key's id; all other
/// headers; whether the kind of signature is named at all; and headers that come again later.
pub(crate) fn of_signed_body(genuine: &HttpRequest, mutated: &HttpRequest) -> bool {
    let value = |request: &HttpRequest, wanted: &str| {
        let mut named =
            request.headers.iter().filter(|(name, _)| name.to_lowercase() == wanted.to_lowercase());
        named.next().map(|(_, value)| value.clone())
    };
    let equal = |name| value(genuine, name) == value(mutated, name);
    let serial = |request| value(request, "Wechatpay-Serial").map(|text| text.to_lowercase());
    let kind = value(mutated, "Wechatpay-Signature-Type");
    genuine.body == mutated.body
        && equal("Wechatpay-Timestamp")
        && equal("Wechatpay-Nonce")
        && equal("Wechatpay-Signature")
        && serial(genuine) == serial(mutated)
        && (kind.is_none() || kind == value(genuine, "Wechatpay-Signature-Type"))
}

fn form(body: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    for part in body.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
        let mut halves = part.splitn(2, |byte| *byte == b'=');
        let name = unescaped(halves.next()?);
        let value = unescaped(halves.next().unwrap_or_default());
        let name = String::from_utf8(name).ok()?;
        if name.contains(['&', '=']) || fields.insert(name, value).is_some() {
            return None;
        }
    }
    fields.retain(|_, value| !value.is_empty());
    Some(fields)
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        let code = match after {
            [a, b, ..] if *first == b'%' => hex(*a).zip(hex(*b)).map(|(a, b)| a * 16 + b),
            _ => None,
        };
        match code {
            Some(code) => plain.push(u8::try_from(code).unwrap()),
            None => plain.push(if *first == b'+' { b' ' } else { *first }),
        }
        rest = if code.is_some() { &after[2..] } else { after };
    }
    plain
}

fn xml(body: &[u8]) -> Option<Fields> {
    let text = std::str::from_utf8(body).ok()?;
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii_start();
    rest = tag_end(past_comments(rest).strip_prefix("<xml")?)?;
    let mut fields = Fields::new();
    loop {
        rest = past_comments(rest);
        if let Some(after) = rest.strip_prefix("</xml") {
            let after = tag_end(after)?;
            fields.retain(|_, value| !value.is_empty());
            return past_comments(after).is_empty().then_some(fields);
        }
        let (name, value, after) = element(rest)?;
        if fields.insert(name, value.into_bytes()).is_some() {
            return None;
        }
        rest = after;
    }
}

fn past_comments(text: &str) -> &str {
    let text = text.trim_ascii_start();
    match comment(text) {
        Some(after) => past_comments(after),
        None => text,
    }
}

/// What follows a comment that stands here.
fn comment(text: &str) -> Option<&str> {
    text.strip_prefix("<!--")?.split_once("-->").map(|(_, after)| after)
}

fn tag_end(text: &str) -> Option<&str> {
    text.trim_ascii_start().strip_prefix('>')
}

fn element(text: &str) -> Option<(String, String, &str)> {
    let text = text.strip_prefix('<')?;
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-.$".contains(c);
    let end = text.find(|c: char| !is_of_name(c))?;
    let (name, after) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    let after = after.trim_ascii_start();
    if let Some(after) = after.strip_prefix("/>") {
        return Some((name.to_owned(), String::new(), after));
    }
    let mut rest = tag_end(after)?;
    let mut value = String::new();
    loop {
        if let Some(after) = rest.strip_prefix("<![CDATA[") {
            let (inner, after) = after.split_once("]]>")?;
            value.push_str(inner);
            rest = after;
        } else if let Some(after) = comment(rest) {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("</") {
            let after = tag_end(after.strip_prefix(name)?)?;
            let is_allowed = |c: char| c >= ' ' || c == '\n' || c == '\t';
            return value.chars().all(is_allowed).then_some((name.to_owned(), value, after));
        } else if let Some(after) = rest.strip_prefix('&') {
            let (reference, after) = after.split_once(';')?;
            value.push(character(reference)?);
            rest = after;
        } else {
            let end = rest.find(['<', '&'])?;
            if end == 0 {
                return None;
            }
            value.push_str(&rest[..end].replace("\r\n", "\n").replace('\r', "\n"));
            rest = &rest[end..];
        }
    }
}

fn character(reference: &str) -> Option<char> {
    let digits = |text: &str, radix| {
        let are_digits = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
        are_digits.then(|| u32::from_str_radix(text, radix).ok()).flatten()
    };
    match reference {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => {
            let number = reference.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => digits(hex, 16),
                None => digits(number, 10),
            };
            char::from_u32(code?)
        }
    }
}
