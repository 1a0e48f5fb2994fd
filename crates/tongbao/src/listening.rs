//! Sockets to listen on, and being told to stop.

use anyhow::Context;
use std::io;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Listens on an address. `option` is what chooses another one, for the error.
pub(crate) async fn bind(address: &str, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| explain_later(address, option)).map_err(
        |error| match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::AddrInUse) => {
                let port = address.rsplit_once(':').map_or(address, |(_, port)| port);
                anyhow::anyhow!(
                    "port {port} ({address}) is in use by another program; stop that, or choose \
                     another port with {option}"
                )
            }
            _ => error,
        },
    )
}

fn explain_later(address: &str, option: &str) -> String {
    format!("{address} cannot be listened on; choose another address with {option}")
}

/// Cancelled at Ctrl-C or SIGTERM.
pub(crate) fn stop_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        told.cancel();
    });
    Ok(stop)
}
