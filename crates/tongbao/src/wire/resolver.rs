//! Names to addresses, by the operating system, without those that may not be reached.

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tongbao_engine::Egress;
use tower::Service;

/// Asks the operating system, and keeps to itself what may not be reached.
#[derive(Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
    /// None lets every address through.
    egress: Option<Arc<Egress>>,
}

impl Resolver {
    pub(super) fn new(egress: Option<Arc<Egress>>) -> Resolver {
        Resolver { system: GaiResolver::new(), egress }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let asked = name.as_str().to_owned();
        let found = self.system.call(name);
        let egress = self.egress.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = found.await?.collect();
            permitted(found, egress.as_deref(), &asked).map(Vec::into_iter)
        })
    }
}

/// An error of this kind inside a connector's error means: not allowed, rather than not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotPermitted(String);

fn permitted(
    found: Vec<SocketAddr>,
    egress: Option<&Egress>,
    name: &str,
) -> io::Result<Vec<SocketAddr>> {
    let Some(egress) = egress else { return Ok(found) };
    let (allowed, refused): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| egress.permits(address.ip()));
    match (allowed.is_empty(), refused.first()) {
        (true, Some(address)) => {
            let why = format!("{name} leads to {}, which webhooks may not reach", address.ip());
            Err(io::Error::new(io::ErrorKind::PermissionDenied, NotPermitted(why)))
        }
        _ => Ok(allowed),
    }
}
