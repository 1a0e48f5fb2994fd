//! The guard of merchants' calls over real sockets: literals in every spelling, names whose
//! answers are the test's own and change, and listeners that count who came.

use super::HttpWire;
use super::resolver::{Machine, Surroundings};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tongbao_engine::{Egress, Outgoing, Reach, Tls, Wire, WireError};
use tongbao_types::{HttpRequest, HttpResponse, Method, Span};

#[path = "../../tests/it/egress_forms.rs"]
mod egress_forms;

/// Counts connections, and answers each request.
struct Door {
    address: SocketAddr,
    n_came: Arc<AtomicUsize>,
}

impl Door {
    /// `end` is what follows the status line of each answer.
    async fn open(address: &str, end: &'static str) -> Door {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let n_came = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&n_came);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(stream, end));
            }
        });
        Door { address, n_came }
    }

    fn n_came(&self) -> usize {
        self.n_came.load(Ordering::SeqCst)
    }
}

const CLOSING: &str = "Connection: close\r\nContent-Length: 2\r\n\r\nok";
const KEEPING: &str = "Content-Length: 2\r\n\r\nok";

async fn answer(mut stream: TcpStream, end: &'static str) {
    let mut buffer = vec![0; 65_536];
    while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
        let answer = format!("HTTP/1.1 200 OK\r\n{end}");
        if stream.write_all(answer.as_bytes()).await.is_err() || end == CLOSING {
            return;
        }
    }
}

/// Names that lead where the test says: to each of these in turn, and to the last one from then on.
struct Script {
    turns: Vec<Vec<IpAddr>>,
    asked: Mutex<Vec<String>>,
    own: Vec<IpAddr>,
}

impl Script {
    fn of(turns: &[&[&str]]) -> Arc<Script> {
        let read = |turn: &&[&str]| turn.iter().map(|text| text.parse().unwrap()).collect();
        let turns = turns.iter().map(read).collect();
        Arc::new(Script { turns, asked: Mutex::default(), own: Vec::new() })
    }

    fn n_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Surroundings for Script {
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(name.to_owned());
        let turn = asked.len().min(self.turns.len()) - 1;
        Ok(self.turns[turn].clone())
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.own.contains(&address)
    }
}

fn allowing(networks: &[&str]) -> Egress {
    let allow = networks.iter().map(|network| network.parse().unwrap()).collect();
    Egress { allow_loopback: false, allow }
}

async fn post(wire: &HttpWire, base: &str) -> Result<HttpResponse, WireError> {
    let (method, target) = (Method::Post, "/hook".to_owned());
    let outgoing = Outgoing {
        base: base.to_owned(),
        request: HttpRequest { method, target, headers: Vec::new(), body: "{}".into() },
        timeout: Span::from_seconds(5),
        answer_max: 64,
        reach: Reach::Merchant,
        tls: Tls::default(),
    };
    wire.send(outgoing).await
}

#[track_caller]
fn forbidden(outcome: &Result<HttpResponse, WireError>, what: &str) {
    assert!(matches!(outcome, Err(WireError::Forbidden(_))), "{what}: {outcome:?}");
}

/// As the wire gets them: normalised by the url crate; and again as they are written, though
/// nothing hands them down like that.
#[tokio::test]
async fn no_spelling_of_an_address_inside_is_connected_to() {
    let door = Door::open("[::]:0", KEEPING).await;
    let port = door.address.port();
    let wire = HttpWire::new(Egress::default());
    for form in egress_forms::forms(port) {
        let Some(base) = form.strip_suffix('/').filter(|base| base.starts_with("http")) else {
            continue;
        };
        if base.contains("shop.example") {
            continue;
        }
        assert!(post(&wire, base).await.is_err(), "{form}");
        let Ok(url) = url::Url::parse(&form) else { continue };
        if url.domain().is_some() {
            // The machine that this runs on may not know the name; it is not called all the same.
            continue;
        }
        let plain = url.origin().ascii_serialization();
        forbidden(&post(&wire, &plain).await, &plain);
        assert!(wire.look_up(url.host_str().unwrap()).await.is_err(), "{form}");
    }
    assert_eq!(door.n_came(), 0);
    let open = HttpWire::new(allowing(&["127.0.0.0/8"]));
    assert!(post(&open, &format!("http://127.0.0.1:{port}")).await.is_ok());
    assert_eq!(door.n_came(), 1, "the door would have counted");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_when_saved_and_when_called() {
    let door = Door::open("[::]:0", KEEPING).await;
    for (name, found) in [
        ("metadata.tencentyun.com", &["169.254.0.23"][..]),
        ("metadata.google.internal", &["169.254.169.254", "fd20:ce::254"]),
        ("dotted.shop.example", &["127.0.0.1"]),
        ("here.example", &["::1", "127.0.0.1"]),
        ("unspecified.example", &["0.0.0.0"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nat64.example", &["64:ff9b::7f00:1"]),
        ("private.example", &["10.1.2.3", "192.168.0.1", "fd00::1"]),
    ] {
        let script = Script::of(&[found]);
        let wire = HttpWire::within(Egress::default(), Arc::clone(&script) as _);
        let why = wire.look_up(name).await.unwrap_err();
        assert!(why.starts_with(&format!("{name} leads into a private")), "{why}");
        assert!(found.iter().all(|address| !why.contains(address)), "{why}");
        for scheme in ["http", "https"] {
            let base = format!("{scheme}://{name}:{}", door.address.port());
            forbidden(&post(&wire, &base).await, &base);
        }
        assert_eq!(script.n_asked(), 3, "each try asks anew");
    }
    assert_eq!(door.n_came(), 0);
}

/// What was checked is what is connected to: no answer that comes later counts.
#[tokio::test]
async fn a_name_that_changes_its_mind_never_leads_inside() {
    let inside = Door::open("127.0.0.1:0", CLOSING).await;
    let port = inside.address.port();
    let outside = Door::open(&format!("127.0.0.2:{port}"), CLOSING).await;
    let (good, bad) = (&["127.0.0.2"][..], &["127.0.0.1"][..]);
    let turns = [good, bad, good, good, bad, bad, good, bad];
    let script = Script::of(&turns);
    let wire = HttpWire::within(allowing(&["127.0.0.2/32"]), Arc::clone(&script) as _);
    assert_eq!(wire.look_up("shop.example").await, Ok(()), "it looked well when it was saved");
    for turn in &turns[1..] {
        let outcome = post(&wire, &format!("http://shop.example:{port}")).await;
        if *turn == good {
            assert_eq!(outcome.unwrap().body, "ok");
        } else {
            forbidden(&outcome, "127.0.0.1");
        }
    }
    assert_eq!(script.n_asked(), turns.len(), "one question for each connection");
    assert_eq!((outside.n_came(), inside.n_came()), (3, 0));
}

/// Of several addresses only those are tried that may be reached, even if none of them answers.
#[tokio::test]
async fn of_mixed_addresses_those_inside_are_left_out() {
    let inside = Door::open("127.0.0.1:0", CLOSING).await;
    let port = inside.address.port();
    let script = Script::of(&[&["127.0.0.1", "127.0.0.3", "::1"]]);
    let wire = HttpWire::within(allowing(&["127.0.0.3/32"]), script);
    assert_eq!(wire.look_up("shop.example").await, Ok(()));
    let base = format!("http://shop.example:{port}");
    let nobody = post(&wire, &base).await;
    assert!(matches!(nobody, Err(WireError::Broken(_))), "{nobody:?}");
    let outside = Door::open(&format!("127.0.0.3:{port}"), CLOSING).await;
    assert!(post(&wire, &base).await.is_ok());
    assert_eq!((outside.n_came(), inside.n_came()), (1, 0));
}

#[tokio::test]
async fn a_kept_connection_goes_where_it_went_when_it_was_checked() {
    let inside = Door::open("127.0.0.1:0", KEEPING).await;
    let port = inside.address.port();
    let outside = Door::open(&format!("127.0.0.2:{port}"), KEEPING).await;
    let script = Script::of(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let wire = HttpWire::within(allowing(&["127.0.0.2/32"]), Arc::clone(&script) as _);
    for _ in 0..5 {
        assert!(post(&wire, &format!("http://shop.example:{port}")).await.is_ok());
    }
    // Another port is another connection, and so another question.
    let other = format!("http://shop.example:{}", if port == 8080 { 8081 } else { 8080 });
    forbidden(&post(&wire, &other).await, &other);
    assert_eq!((outside.n_came(), inside.n_came(), script.n_asked()), (1, 0, 2));
}

#[tokio::test]
async fn this_machines_public_address_is_inside_unless_it_is_named() {
    let address = "93.184.216.34";
    let own = vec![address.parse().unwrap()];
    let around =
        || Arc::new(Script { turns: vec![own.clone()], asked: Mutex::default(), own: own.clone() });
    let wire = HttpWire::within(Egress::default(), around());
    for host in [address, "me.example"] {
        forbidden(&post(&wire, &format!("http://{host}:1")).await, host);
        assert!(wire.look_up(host).await.is_err(), "{host}");
    }
    assert!(wire.look_up("93.184.216.35").await.is_ok());
    let named = HttpWire::within(allowing(&["93.184.216.34/32"]), around());
    assert_eq!(named.look_up(address).await, Ok(()));

    assert!(Machine.is_own("127.0.0.1".parse().unwrap()));
    assert!(!Machine.is_own(address.parse().unwrap()));
}

/// A server of names that is slow or silent keeps nobody from saving an address, and each try asks
/// again.
#[tokio::test]
async fn what_cannot_be_found_is_no_breach() {
    struct Silent;
    impl Surroundings for Silent {
        fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Err(io::Error::other("no such name"))
        }
        fn is_own(&self, _: IpAddr) -> bool {
            false
        }
    }
    let wire = HttpWire::within(Egress::default(), Arc::new(Silent));
    assert_eq!(wire.look_up("shop.example").await, Ok(()));
    let outcome = post(&wire, "http://shop.example").await;
    assert!(matches!(outcome, Err(WireError::Broken(_))), "{outcome:?}");
}
