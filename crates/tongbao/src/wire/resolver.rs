//! Names to addresses, without those that may not be reached.

use hyper_util::client::legacy::connect::dns::Name;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Semaphore;
use tongbao_engine::Egress;
use tower::Service;

/// What the machine says of names and addresses; a test says it otherwise.
pub(super) trait Surroundings: Send + Sync + 'static {
    /// Where a name leads now. Blocks for as long as that takes.
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
    /// Whether an address is this machine's own.
    fn is_own(&self, address: IpAddr) -> bool;
}

/// The operating system.
pub(super) struct Machine;

/// A port is needed to ask for a route, and nothing is sent there (RFC 863, discard).
const NO_PORT: u16 = 9;

impl Surroundings for Machine {
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((name, 0).to_socket_addrs()?.map(|found| found.ip()).collect())
    }

    /// A route that begins where it ends is this machine's. Connecting a datagram socket asks the
    /// routing table and nobody else.
    fn is_own(&self, address: IpAddr) -> bool {
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let begins = || {
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect((address, NO_PORT))?;
            Ok::<_, io::Error>(socket.local_addr()?.ip())
        };
        begins().is_ok_and(|begins| begins == address)
    }
}

/// Looking up blocks a thread, and how long is in the hands of whoever serves the name. Merchants'
/// names never hold more threads than this, so that providers are found meanwhile.
const LOOKUPS_AT_ONCE: usize = 128;
/// Whoever saves an address does not wait longer for what it leads to.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Which of the addresses around here merchants' calls may reach.
pub(super) struct Guard {
    egress: Egress,
    around: Arc<dyn Surroundings>,
    lookups: Arc<Semaphore>,
    patience: Duration,
}

impl Guard {
    pub(super) fn new(egress: Egress, around: Arc<dyn Surroundings>) -> Guard {
        let lookups = Arc::new(Semaphore::new(LOOKUPS_AT_ONCE));
        Guard { egress, around, lookups, patience: LOOKUP_TIMEOUT }
    }

    /// Why an address may not be reached, if so. This machine's public address may let more in from
    /// here than from outside, so it counts as inside unless the configuration names it.
    pub(super) fn refusal(&self, address: IpAddr) -> Option<String> {
        if !self.egress.permits(address) {
            return Some(Egress::lies_inside(address));
        }
        let own = !self.egress.is_named(address) && self.around.is_own(address.to_canonical());
        own.then(|| Egress::is_here(&address.to_string()))
    }

    /// What may be reached of what a name leads to.
    async fn find(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let place = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
        let (around, asked) = (Arc::clone(&self.around), name.to_owned());
        let looking = tokio::task::spawn_blocking(move || {
            let found = around.addresses(&asked);
            drop(place);
            found
        });
        let found = looking.await.map_err(io::Error::other)??;
        let allowed: Vec<IpAddr> =
            found.iter().copied().filter(|found| self.refusal(*found).is_none()).collect();
        if allowed.is_empty() && !found.is_empty() {
            // The addresses are for the operator, not for whoever wrote the name.
            tracing::info!(name, ?found, "a merchant's address leads inside and is not called");
            let error = NotPermitted(Egress::leads_inside(name));
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, error));
        }
        Ok(allowed)
    }

    /// Where a host leads, for whoever saves it; what cannot be found out soon is no error.
    pub(super) async fn look_up(&self, host: &str) -> Result<(), String> {
        if let Some(address) = literal(host) {
            return self.refusal(address).map_or(Ok(()), Err);
        }
        match tokio::time::timeout(self.patience, self.find(host)).await {
            Ok(Err(error)) => match not_permitted(&error) {
                Some(refusal) => Err(refusal.to_string()),
                None => Ok(()),
            },
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }
}

/// A host that is an address, with brackets or without.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Finds the addresses for connections. What it finds is what is connected to: nobody asks again
/// between checking and connecting.
#[derive(Clone)]
pub(super) enum Resolver {
    /// Hands out whatever there is.
    Open(Arc<dyn Surroundings>),
    /// Keeps to itself what may not be reached.
    Guarded(Arc<Guard>),
}

impl Resolver {
    async fn addresses(self, name: Name) -> io::Result<Vec<IpAddr>> {
        match self {
            Resolver::Guarded(guard) => guard.find(name.as_str()).await,
            Resolver::Open(around) => {
                let looking = tokio::task::spawn_blocking(move || around.addresses(name.as_str()));
                looking.await.map_err(io::Error::other)?
            }
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.addresses(name).await?;
            // The connector puts the port in.
            let found: Vec<_> = found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(found.into_iter())
        })
    }
}

/// An error of this kind inside a connector's error means: not allowed, rather than not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotPermitted(String);

/// The refusal in an error of the resolver.
pub(super) fn not_permitted(error: &io::Error) -> Option<&NotPermitted> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A server of names that says nothing until the test lets go.
    struct Hanging(Mutex<Receiver<()>>);

    impl Surroundings for Hanging {
        fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            let _let_go = self.0.lock().unwrap().recv();
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        }

        fn is_own(&self, _: IpAddr) -> bool {
            false
        }
    }

    fn hanging(places: usize) -> (Guard, Sender<()>) {
        let (hold, held) = channel();
        let around = Arc::new(Hanging(Mutex::new(held)));
        let (lookups, patience) = (Arc::new(Semaphore::new(places)), Duration::from_millis(50));
        (Guard { egress: Egress::default(), around, lookups, patience }, hold)
    }

    /// Whoever serves a merchant's names can make neither savers wait nor threads run out.
    #[tokio::test]
    async fn a_server_of_names_that_hangs_is_not_waited_for() {
        let (guard, hold) = hanging(1);
        assert_eq!(guard.look_up("shop.example").await, Ok(()));
        assert_eq!(guard.lookups.available_permits(), 0, "its thread still waits and counts");
        assert_eq!(guard.look_up("shop.example").await, Ok(()), "nor for a place");
        drop(hold);
        let found = guard.find("shop.example").await;
        assert!(not_permitted(&found.unwrap_err()).is_some(), "the place is free again");
    }
}
