//! A proxy before a database server that cuts connections in the middle of a COMMIT: some after
//! the server has carried it out, so that only the answer is lost, some before it got there.

use anyhow::Result;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// COMMIT as PostgreSQL's simple query and as MySQL's COM_QUERY; in whole, with their lengths.
const COMMITS: [&[u8]; 2] = [b"Q\0\0\0\x0bCOMMIT\0", b"\x07\0\0\0\x03COMMIT"];

/// Listens until the process ends.
pub struct CommitCutter {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    every: AtomicU64,
    commits: AtomicU64,
    after: AtomicU64,
    before: AtomicU64,
}

/// What becomes of a COMMIT.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passed,
    /// The server carries it out, and the answer is lost.
    CutAfter,
    /// The server never sees it.
    CutBefore,
}

impl CommitCutter {
    /// Listens on a free port before the server at `target` and cuts nothing yet.
    pub fn start(target: SocketAddr) -> Result<CommitCutter> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, state) = (listener.local_addr()?, Arc::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(target) else { continue };
                let state = Arc::clone(&shared);
                thread::spawn(move || forward(client, server, &state));
            }
        });
        Ok(CommitCutter { address, state })
    }

    /// Cuts every so many'th COMMIT, in turns after and before the server carried it out; 0 cuts
    /// none.
    pub fn cut_every(&self, every: u64) {
        self.state.every.store(every, Ordering::Relaxed);
    }

    /// How many were cut after and how many before the server carried them out.
    pub fn cut(&self) -> (u64, u64) {
        (self.state.after.load(Ordering::Relaxed), self.state.before.load(Ordering::Relaxed))
    }
}

impl State {
    fn fate(&self) -> Fate {
        let every = self.every.load(Ordering::Relaxed);
        if every == 0 {
            return Fate::Passed;
        }
        let count = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        match (count % every, (count / every) % 2) {
            (0, 1) => {
                self.after.fetch_add(1, Ordering::Relaxed);
                Fate::CutAfter
            }
            (0, _) => {
                self.before.fetch_add(1, Ordering::Relaxed);
                Fate::CutBefore
            }
            _ => Fate::Passed,
        }
    }
}

/// Both directions of one connection. `is_cut` is told to whoever carries the answers.
fn forward(client: TcpStream, server: TcpStream, state: &State) {
    let _unsupported = (client.set_nodelay(true), server.set_nodelay(true));
    let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else { return };
    let is_cut = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&is_cut);
    thread::spawn(move || carry_answers(server, client, &told));
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..length];
        let is_commit = COMMITS.iter().any(|text| bytes.windows(text.len()).any(|at| at == *text));
        match if is_commit { state.fate() } else { Fate::Passed } {
            Fate::CutBefore => break,
            // The next answer ends the connection.
            Fate::CutAfter => is_cut.store(1, Ordering::SeqCst),
            Fate::Passed => {}
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _gone_already = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

fn carry_answers(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicU64) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if is_cut.load(Ordering::SeqCst) == 1 || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _gone_already = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
