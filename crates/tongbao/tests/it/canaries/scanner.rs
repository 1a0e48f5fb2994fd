//! Looks for secrets in bytes, whole or a piece of sixteen bytes of them, in every form in which
//! they could have slipped out.

use aho_corasick::AhoCorasick;
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use std::fmt::Write as _;

/// Shorter pieces would be found by chance.
const PIECE: usize = 16;

/// A secret that nobody may see.
#[derive(Clone)]
pub(crate) struct Canary {
    /// What it is, for the report.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Canary {
    pub(crate) fn new(name: &str, bytes: impl AsRef<[u8]>) -> Canary {
        let bytes = bytes.as_ref().to_vec();
        assert!(bytes.len() >= PIECE, "{name} is too short to be told from chance");
        Canary { name: name.to_owned(), bytes }
    }

    /// The secret half of a private key in PEM or bare base64, as it stands there and as bytes. The
    /// first half is the public modulus.
    pub(crate) fn of_key(name: &str, pem: &str) -> [Canary; 2] {
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        let text: String = lines.map(str::trim).collect();
        let bytes = BASE64.decode(text.as_bytes()).unwrap();
        [
            Canary::new(&format!("{name}, text"), &text[text.len() / 2..]),
            Canary::new(&format!("{name}, bytes"), &bytes[bytes.len() / 2..]),
        ]
    }
}

/// A secret that was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leak {
    pub(crate) secret: String,
    pub(crate) form: &'static str,
    /// Where it was found.
    pub(crate) place: String,
    /// What stands around it.
    pub(crate) around: String,
}

/// The names of the forms, in the order in which [`forms`] gives them.
pub(crate) const FORMS: [&str; 14] = [
    "raw",
    "base64, first alignment",
    "base64, second alignment",
    "base64, third alignment",
    "url-safe base64, first alignment",
    "url-safe base64, second alignment",
    "url-safe base64, third alignment",
    "hex, lower case",
    "hex, upper case",
    "percent-encoded",
    "percent-encoded, every byte",
    "JSON",
    "JSON, every character",
    "Rust's list of numbers",
];

/// Finds any of many secrets in one pass.
pub(crate) struct Scanner {
    automaton: AhoCorasick,
    /// Secret and form of each needle.
    needles: Vec<(usize, &'static str)>,
    names: Vec<String>,
}

impl Scanner {
    pub(crate) fn new(canaries: &[Canary]) -> Scanner {
        let (mut texts, mut needles) = (Vec::new(), Vec::new());
        for (at, canary) in canaries.iter().enumerate() {
            for piece in pieces(&canary.bytes) {
                for (form, text) in FORMS.into_iter().zip(forms(piece)) {
                    texts.push(text);
                    needles.push((at, form));
                }
            }
        }
        let names = canaries.iter().map(|canary| canary.name.clone()).collect();
        Scanner { automaton: AhoCorasick::new(&texts).unwrap(), needles, names }
    }

    pub(crate) fn scan(&self, place: &str, bytes: &[u8]) -> Vec<Leak> {
        let found = self.automaton.find_iter(bytes).map(|found| {
            let (secret, form) = self.needles[found.pattern().as_usize()];
            let from = found.start().saturating_sub(120);
            let to = bytes.len().min(found.end() + 40);
            let around = String::from_utf8_lossy(&bytes[from..to]).into_owned();
            Leak { secret: self.names[secret].clone(), form, place: place.to_owned(), around }
        });
        found.collect()
    }
}

/// A piece of every place, so that whoever sees 31 bytes in a row sees one of these.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let last = &bytes[bytes.len() - PIECE..];
    bytes.chunks_exact(PIECE).chain([last])
}

fn forms(piece: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![piece.to_vec()];
    for encoding in [&BASE64, &BASE64URL] {
        all.extend((0..3).map(|before| aligned(encoding, piece, before)));
    }
    all.push(HEXLOWER.encode(piece).into_bytes());
    all.push(HEXUPPER.encode(piece).into_bytes());
    let percent = |byte: &u8| format!("%{byte:02X}");
    let usual = |byte: &u8| match byte {
        b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
            char::from(*byte).to_string()
        }
        _ => percent(byte),
    };
    all.push(piece.iter().map(usual).collect::<String>().into_bytes());
    all.push(piece.iter().map(percent).collect::<String>().into_bytes());
    let lossy = String::from_utf8_lossy(piece);
    let json = serde_json::to_string(&lossy).unwrap();
    // The quotes are not part of it, and bytes that are no text have no form of their own.
    let json = if lossy.contains('\u{fffd}') { piece } else { json.trim_matches('"').as_bytes() };
    all.push(json.to_vec());
    let escaped = piece.iter().fold(String::new(), |mut text, byte| {
        let _never_fails = write!(text, "\\u{byte:04x}");
        text
    });
    all.push(escaped.into_bytes());
    let numbers = format!("{piece:?}");
    all.push(numbers.trim_matches(['[', ']']).as_bytes().to_vec());
    all
}

/// The base64 of the piece inside of a longer text, with `before` bytes before it: only those
/// characters that depend on nothing else.
fn aligned(encoding: &data_encoding::Encoding, piece: &[u8], before: usize) -> Vec<u8> {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(piece);
    let text = encoding.encode(&bytes);
    let from = (before * 8).div_ceil(6);
    let to = bytes.len() * 8 / 6;
    text.as_bytes()[from..to].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"s3cr3t+/\"\\\n%canary-0123456789-ABCDEFGHIJ";

    fn check(name: &str, text: impl AsRef<[u8]>) {
        let scanner = Scanner::new(&[Canary::new("it", SECRET)]);
        let found = scanner.scan(name, text.as_ref());
        assert!(!found.is_empty(), "{name} is not seen");
        let clean = [b"nothing to see here, 0123456789 and more".as_slice(), &SECRET[..15]];
        assert!(clean.iter().all(|text| scanner.scan("", text).is_empty()));
    }

    /// Each of these encoders is another one than the scanner's own.
    #[test]
    fn a_planted_leak_of_every_form_is_seen() {
        let text = std::str::from_utf8(SECRET).unwrap();
        check("raw", [b"before ", SECRET, b" after"].concat());
        for before in 0..3 {
            let longer = [&b"xyz"[..before], SECRET, b"tail"].concat();
            check("base64", tongbao_crypt::base64::encode(&longer));
            check("url-safe base64", data_encoding::BASE64URL_NOPAD.encode(&longer));
        }
        let hex = SECRET.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        check("hex", &hex);
        check("hex", hex.to_uppercase());
        let mut url = url::Url::parse("http://x/").unwrap();
        url.query_pairs_mut().append_pair("q", text);
        check("percent-encoded", url.as_str());
        let every = SECRET.iter().map(|byte| format!("%{byte:02X}")).collect::<String>();
        check("percent-encoded, every byte", every);
        check("JSON", serde_json::json!({"a": text}).to_string());
        let every = SECRET.iter().map(|byte| format!("\\u{byte:04x}")).collect::<String>();
        check("JSON, every character", every);
        check("Debug of text", format!("{text:?}"));
        check("Debug of bytes", format!("{SECRET:?}"));
        check("a piece", &SECRET[5..37]);
    }

    #[test]
    fn every_form_has_its_name_and_is_a_needle() {
        let all = forms(&SECRET[..16]);
        assert_eq!(all.len(), FORMS.len());
        assert!(all.iter().all(|form| form.len() >= 16));
    }
}
