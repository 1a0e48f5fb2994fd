//! How much of a body is read, and for how long.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use std::time::Duration;
use tongbao_engine::Error;
use tongbao_types::Code;

/// The longest body that `/v1` and `/notify` take, in bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// A body must be there within this time after its headers.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// So much of a body that is too long is read and thrown away, for at most [`DRAIN_PATIENCE`]:
/// closing a connection with unread bytes in it may destroy the answer on its way.
const DRAIN_MAX: u64 = 4 * 1024 * 1024;
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// Reads a whole body of at most `max` bytes.
///
/// Fails with [`Code::BodyTooLarge`] if it is longer, and with [`Code::InvalidJson`] if it breaks
/// off or takes longer than half a minute.
pub async fn read_body(body: Body, max: usize) -> Result<Bytes, Error> {
    read_body_within(body, max, BODY_PATIENCE).await
}

async fn read_body_within(mut body: Body, max: usize, patience: Duration) -> Result<Bytes, Error> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let read =
        async { if announced > max { Err(too_large(max)) } else { collect(&mut body, max).await } };
    let outcome = match tokio::time::timeout(patience, read).await {
        Ok(outcome) => outcome,
        Err(_) => Err(broken("The body did not arrive in time.")),
    };
    if outcome.as_ref().is_err_and(|error| error.code == Code::BodyTooLarge) {
        let _given_up = tokio::time::timeout(DRAIN_PATIENCE, drain(&mut body)).await;
    }
    outcome
}

async fn collect(body: &mut Body, max: usize) -> Result<Bytes, Error> {
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| broken("The body broke off."))?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = first.as_ref().map_or(0, Bytes::len) + more.len();
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
        let found = read_body_within(body, max, Duration::from_millis(200)).await;
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
}
