//! WeChat writes `Request-ID` with both last letters in upper case, and some clients look header
//! names up as they are; the HTTP library's title case would make `Request-Id` of it. So this name
//! is put right in the bytes on their way out. It can go when the library keeps a given case.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const WRONG: &[u8] = b"\r\nRequest-Id: ";
const RIGHT: &[u8] = b"\r\nRequest-ID: ";

/// A stream that writes this one header name as WeChat does.
pub(crate) struct HeaderCase<S> {
    stream: S,
}

impl<S> HeaderCase<S> {
    pub(crate) fn new(stream: S) -> HeaderCase<S> {
        HeaderCase { stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeaderCase<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

/// Vectored writes are not offered, so a response's head arrives here in one piece.
impl<S: AsyncWrite + Unpin> AsyncWrite for HeaderCase<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match corrected(bytes) {
            Some(bytes) => Pin::new(&mut self.stream).poll_write(cx, &bytes),
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The bytes with the name put right, if they are a response's head that has it.
fn corrected(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(b"HTTP/1.") {
        return None;
    }
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
    let at = bytes[..head].windows(WRONG.len()).position(|some| some == WRONG)?;
    let mut copy = bytes.to_vec();
    copy[at..at + RIGHT.len()].copy_from_slice(RIGHT);
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_in_a_head_is_touched() {
        let head = b"HTTP/1.1 200 OK\r\nRequest-Id: Request-Id\r\n\r\n\r\nRequest-Id: body";
        let wanted = b"HTTP/1.1 200 OK\r\nRequest-ID: Request-Id\r\n\r\n\r\nRequest-Id: body";
        assert_eq!(corrected(head).as_deref(), Some(wanted.as_slice()));
        assert_eq!(corrected(b"HTTP/1.1 200 OK\r\n\r\n\r\nRequest-Id: body"), None);
        assert_eq!(corrected(b"body\r\nRequest-Id: x\r\n\r\n"), None);
    }
}
