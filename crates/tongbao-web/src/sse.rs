//! Server-sent events: one JSON object for each item of a stream, a comment now and then so that
//! proxies keep the line open, and an end when the server stops.

use crate::gate::Watch;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use http::HeaderValue;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A reply that sends each item as `data: {…}` while the stream lasts and nobody has asked the
/// server to stop. The browser comes again two seconds after a broken line. `watch` is the room
/// that the reply takes up as long as it lasts.
pub fn events<T, S>(items: S, watch: Watch, stop: CancellationToken) -> Response
where
    T: Serialize,
    S: Stream<Item = T> + Send + 'static,
{
    let events = items.map(move |item| {
        let _held_as_long_as_this_closure = &watch;
        Ok::<_, Infallible>(event(&item))
    });
    let events = events.take_until(stop.cancelled_owned());
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    // nginx would hold the events back otherwise.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn event<T: Serialize>(item: &T) -> Event {
    let json = serde_json::to_string(item).expect("views have string keys and no failing parts");
    Event::default().retry(Duration::from_secs(2)).data(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Gate, Limits};
    use futures_util::stream;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn items_become_data_lines_and_stopping_ends_an_endless_stream() {
        let stop = CancellationToken::new();
        let first = stream::iter([serde_json::json!({"status": "pending"})]);
        let gate = Gate::new(Limits { watchers: 1, ..Limits::default() });
        let client = std::net::Ipv4Addr::LOCALHOST.into();
        let watch = gate.watch(client, None).unwrap();
        let response = events(first.chain(stream::pending()), watch, stop.clone());
        assert!(gate.watch(client, None).is_err());
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut body = response.into_body();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        assert!(text.contains("data: {\"status\":\"pending\"}\n"), "{text}");
        stop.cancel();
        assert!(body.frame().await.is_none());
        drop(body);
        assert!(gate.watch(client, None).is_ok());
    }
}
