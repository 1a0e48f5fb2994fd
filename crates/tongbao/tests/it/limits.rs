//! How often one may come, and requests whose end two programs could disagree about.

use crate::world::World;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends bytes to the gateway and reads until it hangs up. A reset is an end like any other.
async fn speak(world: &World, bytes: &str) -> String {
    let address = world.gateway().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    let _reset = stream.read_to_end(&mut reply).await;
    String::from_utf8_lossy(&reply).into_owned()
}

/// A wrong key is refused, then not even looked at, while a good key from the same address works
/// all the time.
#[tokio::test]
async fn who_guesses_keys_is_stopped_and_who_has_one_is_not() {
    let world = World::with(&["limits.wrong_keys_per_address=5"]).await;
    let guess = async |n: u32| {
        let key = format!("Bearer sk_test_{n:052}");
        let headers = [("authorization", key.as_str())];
        world.try_call("GET", "/v1/channels", None, &headers).await.unwrap()
    };
    for n in 0..5 {
        assert_eq!(guess(n).await.problem(401), "invalid_key");
    }
    let stopped = guess(5).await;
    let wait: u64 = stopped.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert_eq!(stopped.problem(429), "rate_limited");
    world.get("/v1/channels").await;
    // Also one that nobody has used since the start.
    let other = format!("Bearer {}", world.key("other_secret_key"));
    let headers = [("authorization", other.as_str())];
    world.try_call("GET", "/v1/channels", None, &headers).await.unwrap().expect(200);
    world.finish().await;
}

/// One key that comes too often is told when to come again; another key, a payer and a provider
/// notice nothing of it.
#[tokio::test]
async fn a_key_that_comes_too_often_stops_nobody_else() {
    let world = World::with(&["limits.requests_per_key=3"]).await;
    let charge = world.order("wechat.native").await;
    let mut refused = None;
    for _ in 0..50 {
        let answer = world.call("GET", "/v1/channels", None).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("fifty requests at three a second are too many");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.problem(429), "rate_limited");
    let other = format!("Bearer {}", world.key("other_secret_key"));
    let headers = [("authorization", other.as_str())];
    world.try_call("GET", "/v1/channels", None, &headers).await.unwrap().expect(200);
    let cashier = charge["cashier_url"].as_str().unwrap();
    world.fetch(cashier).await.expect(200);
    world.pay(&charge).await.expect(200);
    crate::world::eventually("the notification is believed", async || {
        let notices = world.notices(&charge).await;
        notices.iter().any(|notice| notice["delivered"] == true).then_some(())
    })
    .await;
    world.finish().await;
}

/// Payers behind one address are counted together, in words that a browser and a program read;
/// keys and monitors are not counted there.
#[tokio::test]
async fn strangers_of_one_address_are_counted_together() {
    let world = World::with(&["limits.requests_per_address=2"]).await;
    let charge = world.order("wechat.native").await;
    let status = format!("{}/pay/{}/status", world.gateway(), crate::world::id(&charge));
    let mut last = world.fetch(&status).await;
    for _ in 0..30 {
        last = world.fetch(&status).await;
    }
    assert!(last.headers.contains_key("retry-after"));
    assert_eq!(last.problem(429), "rate_limited");
    world.charge(&charge).await;
    world.fetch(&format!("{}/healthz", world.gateway())).await.expect(200);
    world.finish().await;
}

/// An older service's caller is turned away in that service's own shape.
#[tokio::test]
async fn a_profile_says_so_in_its_own_words() {
    let world = World::with(&["limits.requests_per_key=1"]).await;
    let body = json!({"order_id": "20260101000000"}).to_string();
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let url = format!("{}/wxPay/queryOrder", world.gateway());
    let mut refused = None;
    for _ in 0..20 {
        let answer = world.raw(&url, &headers, body.clone()).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("twenty requests at one a second are too many");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.body["code"], 1);
    world.finish().await;
}

/// So is its order, when there are as many under way as there is room for.
#[tokio::test]
async fn an_order_beyond_the_room_is_turned_away_in_a_profiles_own_words() {
    let world = World::with(&["limits.orders_under_way=1"]).await;
    world.control("faults", json!({"provider": "wechat", "delay_ms": 3000})).await.expect(200);
    let body = json!({"merchant_id": 1, "product_id": 2, "price": "19.9"}).to_string();
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let url = format!("{}/wxPay/toPay", world.gateway());
    let order = || world.raw(&url, &headers, body.clone());
    let (one, other) = tokio::join!(order(), order());
    let (made, away) = if one.status == 200 { (one, other) } else { (other, one) };
    assert_eq!(made.expect(200)["code"], 0);
    assert!(away.headers.contains_key("retry-after"));
    assert_eq!(away.expect(503)["code"], 1);
    let all = world.get("/v1/charges?limit=10").await;
    assert_eq!(all["data"].as_array().unwrap().len(), 1);
    world.finish().await;
}

/// What two programs in a row could read differently gets one answer at most, and nothing hidden
/// in it is ever taken for a request.
#[tokio::test]
async fn badly_framed_requests_get_one_answer_at_most() {
    let world = World::start().await;
    let key = world.key("secret_key");
    let body = json!({"amount": 1, "subject": "Tea", "order_no": "smuggled"}).to_string();
    let hidden = format!(
        "POST /v1/charges HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let post = "POST /v1/charges HTTP/1.1\r\nHost: h\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let forms = [
        ("a length and chunks", format!("{post}Content-Length: 4\r\n{chunked}\r\n0\r\n\r\n")),
        ("chunks and a length", format!("{post}{chunked}Content-Length: 4\r\n\r\n0\r\n\r\n")),
        ("two lengths", format!("{post}Content-Length: 0\r\nContent-Length: 9\r\n\r\n")),
        ("a list of lengths", format!("{post}Content-Length: 0, 9\r\n\r\n")),
        ("a signed length", format!("{post}Content-Length: +0\r\n\r\n")),
        ("a negative length", format!("{post}Content-Length: -1\r\n\r\n")),
        ("a length that is none", format!("{post}Content-Length: 0x0\r\n\r\n")),
        ("another coding last", format!("{post}Transfer-Encoding: chunked, gzip\r\n\r\n")),
        ("a coding that is none", format!("{post}Transfer-Encoding: xchunked\r\n\r\n")),
        ("chunks twice", format!("{post}{chunked}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n")),
        ("a blank before the colon", format!("{post}Content-Length : 0\r\n\r\n")),
        ("a folded header", format!("{post}X: y\r\n Content-Length: 0\r\n\r\n")),
        ("a folded coding", format!("{post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")),
        ("chunks in HTTP/1.0", format!("POST / HTTP/1.0\r\nHost: h\r\n{chunked}\r\n0\r\n\r\n")),
        ("a chunk of no size", format!("{post}{chunked}\r\nx\r\n")),
        ("a chunk too large to say", format!("{post}{chunked}\r\nffffffffffffffffff\r\n")),
        ("a chunk with a bare feed", format!("{post}{chunked}\r\n0\n\n")),
        ("an endless extension", format!("{post}{chunked}\r\n1;{}", "a".repeat(40_000))),
        ("a header with a zero", format!("{post}X: a\0b\r\n\r\n")),
        ("no words at all", "\u{16}\u{3}\u{1}\r\n\r\n".to_owned()),
    ];
    for (what, form) in &forms {
        let reply = speak(&world, &format!("{form}{hidden}")).await;
        let n_answers = reply.matches("HTTP/1.1 ").count();
        assert!(n_answers <= 1, "{what}: {reply}");
        assert!(!reply.contains("HTTP/1.1 2"), "{what}: {reply}");
    }
    let found = world.get("/v1/charges?order_no=smuggled").await;
    assert_eq!(found["data"], json!([]));
    // Alone it is an ordinary request, so what was refused above was its disguise.
    assert!(speak(&world, &hidden).await.starts_with("HTTP/1.1 201"));
    world.finish().await;
}
