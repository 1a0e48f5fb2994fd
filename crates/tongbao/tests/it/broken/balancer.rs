//! A load balancer: each new connection goes to an instance that accepts it, by turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Forwards until it is dropped.
pub(crate) struct Balancer {
    /// `host:port`.
    pub(crate) address: String,
    backends: Arc<Vec<Backend>>,
    accepting: JoinHandle<()>,
}

struct Backend {
    address: String,
    is_out: AtomicBool,
}

impl Balancer {
    /// Listens on a free port, in front of these addresses.
    pub(crate) async fn open(backends: &[String]) -> Balancer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let backends = backends.iter().map(|address| {
            let is_out = AtomicBool::new(false);
            Backend { address: address.clone(), is_out }
        });
        let backends = Arc::new(backends.collect::<Vec<_>>());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&backends)));
        Balancer { address: address.to_string(), backends, accepting }
    }

    /// Gives an instance no new connections, or gives it some again.
    pub(crate) fn take_out(&self, idx: usize, is_out: bool) {
        self.backends[idx].is_out.store(is_out, Ordering::SeqCst);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, backends: Arc<Vec<Backend>>) {
    let turn = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (backends, turn) = (Arc::clone(&backends), Arc::clone(&turn));
        tokio::spawn(async move { forward(stream, &backends, &turn).await });
    }
}

/// A connection that nobody accepts is closed.
async fn forward(mut stream: TcpStream, backends: &[Backend], turn: &AtomicUsize) {
    let first = turn.fetch_add(1, Ordering::Relaxed);
    for idx in 0..backends.len() {
        let backend = &backends[(first + idx) % backends.len()];
        if backend.is_out.load(Ordering::SeqCst) {
            continue;
        }
        if let Ok(mut upstream) = TcpStream::connect(&backend.address).await {
            let _small = (stream.set_nodelay(true), upstream.set_nodelay(true));
            let _broken = copy_bidirectional(&mut stream, &mut upstream).await;
            return;
        }
    }
}
