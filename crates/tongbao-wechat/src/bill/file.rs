//! A bill as it travels: a file without a signature, the same in both APIs.

use super::BillPacking;
use bytes::Bytes;
use tongbao_types::HttpResponse;

/// A bill as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillFile {
    /// How it travelled, which its first bytes tell.
    pub packing: BillPacking,
    /// All of it.
    pub body: Bytes,
}

impl BillFile {
    /// The merchant's: the file that a body of status 200 is; `None` for markup.
    pub(crate) fn of(body: &Bytes) -> Option<BillFile> {
        packing(body).map(|packing| BillFile { packing, body: body.clone() })
    }

    /// The provider's answer.
    pub(crate) fn response(&self) -> HttpResponse {
        let content_type = match self.packing {
            BillPacking::Plain => "text/plain",
            BillPacking::Gzip => "application/x-gzip",
        };
        HttpResponse::new(200, content_type, self.body.clone())
    }
}

/// Told from the first bytes; `None` for markup, which in API v2 is the XML of a failure.
fn packing(head: &[u8]) -> Option<BillPacking> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match text.first() {
        Some(b'<') => None,
        _ if head.starts_with(b"\x1f\x8b") => Some(BillPacking::Gzip),
        _ => Some(BillPacking::Plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_markup_by_their_first_bytes() {
        assert_eq!(packing(b"\xef\xbb\xbf\r\n<xml>"), None);
        assert_eq!(packing(b"  <xml>"), None);
        assert_eq!(packing(b"`<xml>"), Some(BillPacking::Plain));
        assert_eq!(packing(b"\x1f\x8b\x08<xml>"), Some(BillPacking::Gzip));
    }
}
