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

/// Raises the number of files and sockets that the process may have open to what the system lets
/// it: the usual 1,024 are for programs that do not serve.
pub(crate) fn allow_many_files() {
    #[cfg(unix)]
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// So many of the connections that are wanted can be open at once. Each request may need a second
/// socket, to a provider or a merchant, and the database and the log need some.
pub(crate) fn connections_within(wanted: usize) -> usize {
    #[cfg(unix)]
    if let Ok((files, _)) = rlimit::Resource::NOFILE.get() {
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        let fitting = (files.saturating_sub(FILES_OF_OUR_OWN) / 2).max(16);
        if fitting < wanted {
            tracing::warn!(
                wanted,
                fitting,
                files,
                "the system's limit of open files is too low for limits.connections; raise it \
                 (LimitNOFILE= of systemd, ulimit -Hn)"
            );
            return fitting;
        }
    }
    wanted
}

/// Database, log, listening sockets, with room to spare.
#[cfg(unix)]
const FILES_OF_OUR_OWN: usize = 128;

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
