//! How much of a body is read, and for how long.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use std::time::Duration;
use tokio::time::Instant;
use tongbao_engine::Error;
use tongbao_types::Code;

/// The longest body that `/v1` and `/notify` take, in bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// How slowly a body may come.
#[derive(Clone, Copy)]
struct Patience {
    /// It must be there within this time after its headers.
    whole: Duration,
    /// So long it may be slower than [`Patience::bytes_per_second`].
    grace: Duration,
    bytes_per_second: u32,
}

/// Callers are servers; a telephone that sends 2 KiB a second comes through all the same.
const PATIENCE: Patience = Patience {
    whole: Duration::from_secs(30),
    grace: Duration::from_secs(5),
    bytes_per_second: 2048,
};

/// So much of a body that is too long is read and thrown away, for at most [`DRAIN_PATIENCE`]:
/// closing a connection with unread bytes in it may destroy the answer on its way.
const DRAIN_MAX: u64 = 4 * 1024 * 1024;
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// Reads a whole body of at most `max` bytes.
///
/// Fails with [`Code::BodyTooLarge`] if it is longer, and with [`Code::InvalidJson`] if it breaks
/// off, takes longer than half a minute, or drips: after five seconds it must have come at 2 KiB a
/// second or faster.
pub async fn read_body(body: Body, max: usize) -> Result<Bytes, Error> {
    read_body_within(body, max, PATIENCE).await
}

async fn read_body_within(mut body: Body, max: usize, patience: Patience) -> Result<Bytes, Error> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let outcome =
        if announced > max { Err(too_large(max)) } else { collect(&mut body, max, patience).await };
    if outcome.as_ref().is_err_and(|error| error.code == Code::BodyTooLarge) {
        let _given_up = tokio::time::timeout(DRAIN_PATIENCE, drain(&mut body)).await;
    }
    outcome
}

async fn collect(body: &mut Body, max: usize, patience: Patience) -> Result<Bytes, Error> {
    let began = Instant::now();
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
    loop {
        let so_far = first.as_ref().map_or(0, Bytes::len) + more.len();
        let deadline = began + patience.after(so_far);
        let frame = tokio::time::timeout_at(deadline, body.frame()).await;
        let frame = frame.map_err(|_| broken("The body did not arrive in time."))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| broken("The body broke off."))?;
        let Ok(data) = frame.into_data() else { continue };
        if so_far + data.len() > max {
            return Err(too_large(max));
        }
        match &first {
            None => first = Some(data),
            Some(_) => more.extend_from_slice(&data),
        }
    }
    let first = first.unwrap_or_default();
    Ok(if more.is_empty() { first } else { [&first[..], &more].concat().into() })
}

impl Patience {
    /// How long after the headers the next piece must be there, when so many bytes are.
    fn after(self, n_bytes: usize) -> Duration {
        let n_bytes = u32::try_from(n_bytes).unwrap_or(u32::MAX);
        let at_rate = Duration::from_secs(1) * n_bytes / self.bytes_per_second;
        self.whole.min(self.grace + at_rate)
    }
}

async fn drain(body: &mut Body) {
    let mut n_bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        n_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if n_bytes > DRAIN_MAX {
            return;
        }
    }
}

fn too_large(max: usize) -> Error {
    Error::new(Code::BodyTooLarge, format!("The body is longer than {} KiB.", max / 1024))
}

fn broken(message: &str) -> Error {
    Error::new(Code::InvalidJson, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn pieces(pieces: &[&'static str]) -> Body {
        let items: Vec<Result<&'static str, std::io::Error>> =
            pieces.iter().map(|piece| Ok(*piece)).collect();
        Body::from_stream(stream::iter(items))
    }

    async fn check(body: Body, max: usize, wanted: Result<&str, Code>) {
        let whole = Duration::from_millis(200);
        let patience = Patience { whole, grace: whole, ..PATIENCE };
        let found = read_body_within(body, max, patience).await;
        let found = found.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        assert_eq!(found.map_err(|error| error.code), wanted.map(str::to_owned));
    }

    #[tokio::test]
    async fn a_body_is_read_whole_or_refused() {
        check(Body::empty(), 8, Ok("")).await;
        check(Body::from("12345678"), 8, Ok("12345678")).await;
        check(pieces(&["1234", "", "56", "78"]), 8, Ok("12345678")).await;
        check(Body::from("123456789"), 8, Err(Code::BodyTooLarge)).await;
        check(pieces(&["1234", "5678", "9"]), 8, Err(Code::BodyTooLarge)).await;
        check(Body::from_stream(stream::pending::<Result<&str, std::io::Error>>()), 8, {
            Err(Code::InvalidJson)
        })
        .await;
    }

    /// A byte, and after each pause one more.
    fn drip(n_bytes: u64, pause: Duration) -> Body {
        let bytes = stream::unfold(0, move |n| async move {
            tokio::time::sleep(pause).await;
            (n < n_bytes).then_some((Ok::<_, std::io::Error>("x"), n + 1))
        });
        Body::from_stream(bytes)
    }

    #[tokio::test]
    async fn a_body_that_drips_is_not_waited_for() {
        let (whole, grace) = (Duration::from_secs(3600), Duration::from_millis(100));
        let patience = Patience { whole, grace, bytes_per_second: 1000 };
        let endless = drip(u64::MAX, Duration::from_millis(10));
        let error = read_body_within(endless, BODY_MAX, patience).await.unwrap_err();
        assert_eq!(error.message, "The body did not arrive in time.");
        let patience = Patience { grace: whole, ..patience };
        let short = drip(9, Duration::from_millis(10));
        assert_eq!(read_body_within(short, BODY_MAX, patience).await.unwrap().len(), 9);
    }

    #[test]
    fn who_sends_two_kilobytes_a_second_has_half_a_minute() {
        assert_eq!(PATIENCE.after(0), Duration::from_secs(5));
        assert_eq!(PATIENCE.after(20 * 1024), Duration::from_secs(15));
        assert_eq!(PATIENCE.after(BODY_MAX), Duration::from_secs(30));
    }
}
