//! A crowd that connects and says nothing, or says it byte by byte, or does not listen: whoever
//! has something to say is answered as before, and the memory stays bounded.

use crate::world::{World, id};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tongbao_evidence::{record, times};

/// Honest callers at the same time.
const CALLERS: u64 = 4;
const ROUNDS: usize = 5;
/// A hundredth of a round is what it is about.
const REQUESTS: u64 = 200;
/// Whoever was cut off comes back so soon.
const COMES_BACK: Duration = Duration::from_secs(5);
const MEMORY_MAX_KB: u64 = 200_000_000 / 1024;

/// What one of the crowd does, over and over.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Connects and says nothing.
    Idle,
    /// Sends the headers byte by byte.
    SlowHeaders,
    /// Sends the body byte by byte, to an address that takes one from strangers.
    SlowBody,
    /// Asks for a long page again and again, and reads nothing.
    Deaf,
    /// Announces a body that is too long, and sends what it can.
    TooLong,
}

async fn misbehave(manner: Manner, address: String) {
    loop {
        // Whether it is cut off, and how, is the gateway's choice.
        if let Ok(stream) = TcpStream::connect(&address).await {
            let _cut_off = once(manner, stream).await;
        }
        tokio::time::sleep(COMES_BACK).await;
    }
}

async fn once(manner: Manner, mut stream: TcpStream) -> std::io::Result<()> {
    let notice = "POST /notify/wechat/none HTTP/1.1\r\nHost: h\r\n";
    match manner {
        Manner::Idle => {}
        Manner::SlowHeaders => {
            return drip(stream, "GET /healthz HTTP/1.1\r\nHost: h\r\nX: ").await;
        }
        Manner::SlowBody => {
            return drip(stream, &format!("{notice}Content-Length: 60000\r\n\r\n")).await;
        }
        Manner::Deaf => {
            let ask = "GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n".repeat(200);
            stream.write_all(ask.as_bytes()).await?;
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        Manner::TooLong => {
            let head = format!("{notice}Content-Length: 100000000\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            let much = vec![b'x'; 1024 * 1024];
            for _ in 0..100 {
                stream.write_all(&much).await?;
            }
        }
    }
    let mut end = Vec::new();
    stream.read_to_end(&mut end).await.map(|_| ())
}

async fn drip(mut stream: TcpStream, head: &str) -> std::io::Result<()> {
    stream.write_all(head.as_bytes()).await?;
    loop {
        tokio::time::sleep(Duration::from_millis(900)).await;
        stream.write_all(b"a").await?;
    }
}

fn crowd(world: &World, manners: &[(Manner, u64)]) -> JoinSet<()> {
    let address = world.gateway().trim_start_matches("http://");
    let mut crowd = JoinSet::new();
    for (manner, count) in manners {
        for _ in 0..*count {
            crowd.spawn(misbehave(*manner, address.to_owned()));
        }
    }
    crowd
}

/// The slowest hundredth of a round's requests begins here: reads of a charge, every other one
/// over a connection of its own.
async fn p99(world: &World, charge: &Value) -> Duration {
    let path = format!("/v1/charges/{}", id(charge));
    let callers = (0..CALLERS).map(|_| async {
        let mut took = Vec::new();
        for n in 0..REQUESTS / CALLERS {
            let began = Instant::now();
            let headers: &[(&str, &str)] =
                if n % 2 == 0 { &[] } else { &[("connection", "close")] };
            let answer = world.try_call("GET", &path, None, headers).await;
            answer.expect("an honest caller is answered").expect(200);
            took.push(began.elapsed());
        }
        took
    });
    let mut took: Vec<Duration> =
        futures_util::future::join_all(callers).await.into_iter().flatten().collect();
    took.sort();
    took[took.len() * 99 / 100]
}

/// The median of several rounds, since other programs run on this machine too.
async fn usual_p99(world: &World, charge: &Value) -> Duration {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(p99(world, charge).await);
    }
    rounds.sort();
    rounds[ROUNDS / 2]
}

/// A line of the process's status, in kilobytes.
fn memory_kb(world: &World, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.pid())).unwrap();
    let value = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    value.split_ascii_whitespace().next().unwrap().parse().unwrap()
}

fn connected(world: &World) -> u64 {
    let folder = format!("/proc/{}/fd", world.pid());
    std::fs::read_dir(folder).unwrap().count() as u64
}

/// While a crowd of idle and slow callers holds more connections than there is room for, an
/// honest caller's slowest hundredth stays under twice what it was, a payment goes its way, and
/// the gateway stays under 200 MB.
#[tokio::test(flavor = "multi_thread")]
async fn slow_callers_harm_nobody() {
    let _as_many_as_allowed = rlimit::increase_nofile_limit(u64::MAX);
    let idle = times(400, 10_000);
    let slow = times(100, 1000);
    let room = format!("limits.connections={}", times(300, 4096));
    let world = World::with(&["polling.delay=10m", "polling.backoff=fixed", &room]).await;
    let charge = world.order("wechat.native").await;
    let before = usual_p99(&world, &charge).await;
    let manners = [
        (Manner::Idle, idle),
        (Manner::SlowHeaders, slow / 2),
        (Manner::SlowBody, slow / 2),
        (Manner::Deaf, times(10, 50)),
        (Manner::TooLong, 2),
    ];
    let crowd = crowd(&world, &manners);
    let full = times(300, 4096) * 9 / 10;
    let began = Instant::now();
    while connected(&world) < full {
        assert!(began.elapsed() < Duration::from_secs(60), "the crowd does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let during = usual_p99(&world, &charge).await;
    let paid = world.order("alipay.qr").await;
    world.pay(&paid).await.expect(200);
    world.until(&paid, "succeeded").await;
    let still_there = connected(&world);
    drop(crowd);
    let (peak, ratio) =
        (memory_kb(&world, "VmHWM:"), during.as_micros() * 100 / before.as_micros());
    // In the short form other tests run meanwhile; were no room made, it would be ten seconds.
    let noise = Duration::from_millis(times(500, 1));
    assert!(during < before * 2 + noise, "p99 was {before:?} and became {during:?}");
    assert!(peak < MEMORY_MAX_KB, "it took {peak} kB");
    assert!(still_there >= full / 2, "the crowd had gone: {still_there}");
    world.finish().await;
    record(
        "slow_callers_harm_nobody",
        "Idle connections beyond the room for them, headers and bodies byte by byte, bodies that \
         are too long and callers that do not read.",
        &[
            ("idle connections", idle.to_string()),
            ("slow callers", slow.to_string()),
            ("p99 before, µs", before.as_micros().to_string()),
            ("p99 meanwhile, µs", during.as_micros().to_string()),
            ("ratio, hundredths", ratio.to_string()),
            ("peak memory, kB", peak.to_string()),
        ],
    );
}
