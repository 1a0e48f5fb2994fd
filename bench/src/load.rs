//! The load generator: a number of kept-alive connections over which prepared requests are sent,
//! one after another on each. It runs on one thread of its own and reads just as much of HTTP/1.1
//! as the measured servers answer (a status line and a Content-Length), so that it costs little of
//! the machine that it shares with them. An answer it cannot read ends the run with an error.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one round of load found.
pub(crate) struct Outcome {
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// One entry per answer, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// Indexes of the requests that were acknowledged.
    pub(crate) acknowledged: Vec<usize>,
    /// The first answer that was no acknowledgement.
    pub(crate) first_refusal: Option<String>,
}

impl Outcome {
    /// Acknowledged requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.acknowledged.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that `share` of the requests stayed below.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

/// What counts as an acknowledgement.
#[derive(Clone, Copy)]
pub(crate) struct Expect {
    /// The statuses allowed.
    pub(crate) statuses: &'static [u16],
    /// Words that the body must contain.
    pub(crate) body: &'static str,
}

/// Sends every request once over `connections` connections to `authority`.
pub(crate) fn run(
    authority: &str,
    requests: Arc<Vec<Vec<u8>>>,
    connections: usize,
    expect: Expect,
) -> Result<Outcome> {
    let authority = authority.to_owned();
    let work = move || -> Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(drive(&authority, requests, connections, expect))
    };
    std::thread::spawn(work).join().map_err(|_| anyhow::anyhow!("the load generator panicked"))?
}

struct Shared {
    requests: Arc<Vec<Vec<u8>>>,
    next: AtomicUsize,
    expect: Expect,
    first_refusal: Mutex<Option<String>>,
}

async fn drive(
    authority: &str,
    requests: Arc<Vec<Vec<u8>>>,
    connections: usize,
    expect: Expect,
) -> Result<Outcome> {
    let first_refusal = Mutex::new(None);
    let shared = Arc::new(Shared { requests, next: AtomicUsize::new(0), expect, first_refusal });
    let mut sockets = Vec::new();
    for _ in 0..connections {
        let socket = TcpStream::connect(authority).await.context("connecting to the server")?;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    let started = Instant::now();
    let tasks: Vec<_> =
        sockets.into_iter().map(|s| tokio::spawn(connection(s, Arc::clone(&shared)))).collect();
    let (mut latencies, mut acknowledged) = (Vec::new(), Vec::new());
    for task in tasks {
        let (times, good) = task.await??;
        latencies.extend(times);
        acknowledged.extend(good);
    }
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    let first_refusal = shared.first_refusal.lock().ok().and_then(|mut first| first.take());
    Ok(Outcome { elapsed, latencies, acknowledged, first_refusal })
}

async fn connection(
    mut socket: TcpStream,
    shared: Arc<Shared>,
) -> Result<(Vec<Duration>, Vec<usize>)> {
    let (mut latencies, mut acknowledged) = (Vec::new(), Vec::new());
    let mut buffer = Vec::with_capacity(8_192);
    loop {
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = shared.requests.get(index) else {
            return Ok((latencies, acknowledged));
        };
        let sent = Instant::now();
        socket.write_all(request).await?;
        let (status, body) = answer(&mut socket, &mut buffer).await?;
        latencies.push(sent.elapsed());
        let body = &buffer[body];
        if shared.expect.statuses.contains(&status) && contains(body, shared.expect.body) {
            acknowledged.push(index);
        } else if let Ok(mut first) = shared.first_refusal.lock() {
            first.get_or_insert_with(|| format!("{status} {}", String::from_utf8_lossy(body)));
        }
    }
}

fn contains(body: &[u8], words: &str) -> bool {
    words.is_empty() || body.windows(words.len()).any(|w| w == words.as_bytes())
}

/// Reads one answer; gives its status and where its body lies in the buffer.
async fn answer(
    socket: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> Result<(u16, std::ops::Range<usize>)> {
    buffer.clear();
    let (status, head, length) = loop {
        if socket.read_buf(buffer).await? == 0 {
            bail!("the server closed a connection: {}", String::from_utf8_lossy(buffer));
        }
        if let Some(head) = read_head(buffer)? {
            break head;
        }
    };
    while buffer.len() < head + length {
        if socket.read_buf(buffer).await? == 0 {
            bail!("the server closed a connection inside a body");
        }
    }
    Ok((status, head..head + length))
}

/// Status, length of the head, length of the body; `None` while the head is incomplete.
fn read_head(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).context("the answer's head is not text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let status: u16 = status.context("the answer has no status")?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let length = match (status, length) {
        (204 | 304, _) => 0,
        (_, Some(length)) => length,
        (_, None) => bail!("the answer has no Content-Length: {head}"),
    };
    Ok(Some((status, end + 4, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_with_and_without_a_body() {
        let full = b"HTTP/1.1 200 OK\r\ncontent-type: a\r\nContent-Length: 7\r\n\r\nsuccess";
        assert_eq!(read_head(full).unwrap(), Some((200, full.len() - 7, 7)));
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(read_head(empty).unwrap(), Some((204, empty.len(), 0)));
        assert_eq!(read_head(b"HTTP/1.1 200 OK\r\n").unwrap(), None);
        assert!(read_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
