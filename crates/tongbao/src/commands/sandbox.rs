//! `tongbao sandbox`: the provider simulator alone, for people who use other SDKs.

use crate::cli::SandboxArgs;
use crate::config::LogConfig;
use crate::listening::{bind, stop_signal};
use crate::logging;
use crate::output::{Screen, Style};
use crate::running::{base_of, open_sandbox};
use tongbao_sandbox::Options;

/// Runs until it is told to stop.
pub(crate) async fn run(args: SandboxArgs) -> anyhow::Result<()> {
    logging::start(&LogConfig { filter: "info".to_owned(), file: None })?;
    let stop = stop_signal()?;
    let socket = bind(&args.listen, "--listen").await?;
    let base = base_of(&socket)?;
    let base = if args.tls { base.replacen("http", "https", 1) } else { base };
    let credentials_dir = args.credentials.or_else(|| args.data.clone());
    let kept = credentials_dir.clone();
    let tls = args.tls;
    let options = Options { credentials_dir, data_dir: args.data, tls, ..Options::default() };
    let sandbox = open_sandbox(options).await?;
    let screen = Screen::stdout();
    let head = |text: &str| screen.paint(Style::Bold, text);
    screen.line(format!("{} at {base}", head("The provider sandbox")));
    screen.line(format!("  merchant's keys   curl {base}/_sandbox/credentials"));
    screen.line(format!("  a wallet to pay   {base}/"));
    screen.line(format!("  what happened     curl {base}/_sandbox/requests"));
    if tls {
        // The file is beside the keys where these are kept.
        let root = kept.map(|folder| folder.join("sandbox-tls-root.pem").display().to_string());
        let fetched = || format!("curl -k {base}/_sandbox/tls-root.pem");
        screen.line(format!("  root to trust     {}", root.unwrap_or_else(fetched)));
    }
    screen.line("Give your SDK this address instead of the provider's. Ctrl-C stops it.");
    sandbox.serve(socket, stop).await?;
    Ok(())
}
