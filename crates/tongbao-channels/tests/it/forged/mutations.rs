//! Seeded mutations of genuine notifications: flips, cuts, swaps, repeats, and splices of two.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::ops::Range;
use tongbao_types::HttpRequest;

/// Bytes at which messages are cut more often than elsewhere.
const JOINTS: &[u8] = b"<>&=;%\"{},:[]/!\n";

/// Pieces that parsers may stumble over.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b" ",
    b"\t",
    b"\r\n",
    b"+",
    b"%00",
    b"%26",
    b"%3D",
    b"%2B",
    b"&",
    b"&&",
    b"=",
    b"<![CDATA[",
    b"]]>",
    b"<!-- -->",
    b"&amp;",
    b"&#48;",
    b"<?x?>",
    b"</xml>",
    b"<xml>",
    b"<a/>",
    b"<sign></sign>",
    b"&sign=",
    b"&x=",
    b"&x",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b",",
    b"null",
    b"1e9",
    b"-",
    b"0",
    b"SUCCESS",
    b"total_fee",
    b"total_amount",
    "茶".as_bytes(),
];

/// Makes one message after another; the same name makes the same ones.
pub(crate) struct Mutator(StdRng);

impl Mutator {
    pub(crate) fn new(name: &str) -> Mutator {
        let seed = name
            .bytes()
            .fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Mutator(StdRng::seed_from_u64(seed))
    }

    /// Which genuine message it is made of, and the message.
    pub(crate) fn next(&mut self, genuine: &[HttpRequest]) -> (usize, HttpRequest) {
        let at = self.below(genuine.len());
        let mut request = genuine[at].clone();
        for _ in 0..1 + self.below(3) {
            if self.below(4) == 0 && !request.headers.is_empty() {
                self.change_headers(&mut request, genuine);
            } else {
                let other = self.below(genuine.len());
                request.body = self.change(&request.body, &genuine[other].body).into();
            }
        }
        (at, request)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }

    fn change_headers(&mut self, request: &mut HttpRequest, genuine: &[HttpRequest]) {
        let other = &genuine[self.below(genuine.len())];
        let at = self.below(request.headers.len());
        match self.below(6) {
            0 => {
                request.headers.remove(at);
            }
            1 => {
                let again = request.headers[at].clone();
                request.headers.insert(self.below(at + 1), again);
            }
            2 => {
                let theirs = other.headers[self.below(other.headers.len())].clone();
                request.headers.insert(0, theirs);
            }
            3 => {
                let name = &mut request.headers[at].0;
                *name = name.chars().rev().collect();
            }
            4 => {
                let name = &mut request.headers[at].0;
                *name = if self.0.random() { name.to_uppercase() } else { name.to_lowercase() };
            }
            _ => {
                let value = request.headers[at].1.clone();
                let changed = self.change(value.as_bytes(), value.as_bytes());
                request.headers[at].1 = String::from_utf8_lossy(&changed).into_owned();
            }
        }
    }

    fn change(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut new = bytes.to_vec();
        if new.is_empty() {
            return vec![self.0.random()];
        }
        match self.below(12) {
            0 => new[self.0.random_range(0..bytes.len())] ^= 1 << self.0.random_range(0..8),
            1 => new[self.0.random_range(0..bytes.len())] = self.0.random(),
            2 => new.truncate(self.below(bytes.len())),
            3 => {
                new.drain(self.range(bytes));
            }
            4 => {
                let copy = bytes[self.range(bytes)].to_vec();
                let at = self.below(new.len());
                new.splice(at..at, copy);
            }
            5 => self.swap(&mut new),
            6 => {
                let piece = PIECES[self.below(PIECES.len())];
                let at = self.place(bytes);
                new.splice(at..at, piece.iter().copied());
            }
            7 => {
                let piece = PIECES[self.below(PIECES.len())];
                new.splice(self.range(bytes), piece.iter().copied());
            }
            8 => {
                new.truncate(self.place(bytes));
                new.extend_from_slice(&other[self.place(other)..]);
            }
            9 => {
                let theirs = other[self.range(other)].to_vec();
                new.splice(self.range(bytes), theirs);
            }
            10 => self.other_digit(&mut new),
            _ => self.escape(&mut new),
        }
        new
    }

    /// A place between two bytes, often at a joint.
    fn place(&mut self, bytes: &[u8]) -> usize {
        let at = self.below(bytes.len() + 1);
        if self.0.random() {
            return at;
        }
        let joint = bytes[at..].iter().position(|byte| JOINTS.contains(byte));
        joint.map_or(at, |steps| at + steps)
    }

    fn range(&mut self, bytes: &[u8]) -> Range<usize> {
        let (a, b) = (self.place(bytes), self.place(bytes));
        let (a, b) = (a.min(b), a.max(b));
        // Most changes are small; large ones fail for simple reasons.
        if self.0.random() { a..b.min(a + 24) } else { a..b }
    }

    fn swap(&mut self, bytes: &mut Vec<u8>) {
        let (a, b) = (self.range(bytes), self.range(bytes));
        let (a, b) = if a.start <= b.start { (a, b) } else { (b, a) };
        if a.end > b.start {
            return;
        }
        let (first, second) = (bytes[a.clone()].to_vec(), bytes[b.clone()].to_vec());
        bytes.splice(b, first);
        bytes.splice(a, second);
    }

    fn other_digit(&mut self, bytes: &mut [u8]) {
        let at = self.below(bytes.len());
        let found = bytes[at..].iter_mut().find(|byte| byte.is_ascii_digit());
        if let Some(digit) = found {
            *digit = b'0' + (*digit - b'0' + self.0.random_range(1..10)) % 10;
        }
    }

    /// The same byte in another spelling, or one that looks like it.
    fn escape(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let byte = bytes[at];
        let text = match self.below(4) {
            0 => format!("%{byte:02x}"),
            1 => format!("%{byte:02X}"),
            2 => format!("&#{byte};"),
            _ => format!("\\u{byte:04x}"),
        };
        bytes.splice(at..=at, text.into_bytes());
    }
}
