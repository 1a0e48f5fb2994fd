//! The provider's end of a charge: it answers `POST /v3/pay/transactions/native` with one constant,
//! properly signed reply, as fast as a socket allows, so that the measured side and not the
//! provider is what takes time. It checks nothing and remembers nothing. The signature is renewed
//! every two minutes, because a time stamp older than five is refused.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::keys::{Keys, Signer};
use crate::messages::unix_seconds;

const RENEWAL: Duration = Duration::from_secs(120);

/// Starts the stub on a thread of its own; it lives as long as this process.
pub(crate) fn start(keys: &Keys) -> Result<SocketAddr> {
    let signer = Signer::new(&keys.wechat)?;
    let key_id = keys.wechat_key_id.clone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let reply = Arc::new(RwLock::new(Arc::new(render(&signer, &key_id))));
    std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            let renewed = Arc::clone(&reply);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(RENEWAL).await;
                    if let Ok(mut place) = renewed.write() {
                        *place = Arc::new(render(&signer, &key_id));
                    }
                }
            });
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (socket, _) = listener.accept().await?;
                tokio::spawn(answer_all(socket, Arc::clone(&reply)));
            }
        })
    });
    Ok(address)
}

fn render(signer: &Signer, key_id: &str) -> Vec<u8> {
    let body = r#"{"code_url":"weixin://wxpay/bizpayurl?pr=bench00zz"}"#;
    let (timestamp, nonce) = (unix_seconds(), "benchbenchbenchbenchbenchbench00");
    let signature = signer.sign(format!("{timestamp}\n{nonce}\n{body}\n").as_bytes());
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n\
         Request-ID: bench-0\r\nWechatpay-Timestamp: {timestamp}\r\nWechatpay-Nonce: {nonce}\r\n\
         Wechatpay-Signature: {signature}\r\n\
         Wechatpay-Signature-Type: WECHATPAY2-SHA256-RSA2048\r\nWechatpay-Serial: {key_id}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len(),
    )
    .into_bytes()
}

const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\
    Content-Length: 48\r\n\r\n{\"code\":\"RESOURCE_NOT_EXISTS\",\"message\":\"bench\"}";

async fn answer_all(mut socket: TcpStream, reply: Arc<RwLock<Arc<Vec<u8>>>>) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4_096);
    loop {
        let Some(length) = read_request(&mut socket, &mut buffer).await? else { return Ok(()) };
        let order = buffer.starts_with(b"POST /v3/pay/transactions/native ");
        let current = reply.read().ok().map(|r| Arc::clone(&r)).context("a renewal panicked")?;
        socket.write_all(if order { &current } else { NOT_FOUND }).await?;
        buffer.drain(..length);
    }
}

/// Reads until one whole request lies in the buffer; gives its length, or `None` at the end.
async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Option<usize>> {
    loop {
        if let Some(length) = request_length(buffer)
            && buffer.len() >= length
        {
            return Ok(Some(length));
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn request_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok());
    Some(end + length.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_its_head_says() {
        let head = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(request_length(format!("{head}abcGET").as_bytes()), Some(head.len() + 3));
        assert_eq!(request_length(b"POST / HTTP/1.1\r\nContent-"), None);
    }

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(NOT_FOUND).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
    }
}
