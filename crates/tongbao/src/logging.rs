//! Where log lines go: for people on stderr, and as JSON into a file if one is configured.

use crate::config::LogConfig;
use crate::log_file::LogFile;
use anyhow::Context;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Starts logging for the whole process.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let filter = || {
        let parsed: Result<EnvFilter, _> = config.filter.parse();
        parsed.with_context(|| {
            let filter = &config.filter;
            format!("log.filter = \"{filter}\" must be levels, such as info or tongbao=debug,warn")
        })
    };
    let human = fmt::layer()
        .with_writer(std::io::stderr)
        // Stderr may be a file on a full disk; a word about that would go there too, and fall.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_filter(filter()?);
    let file = config.file.as_deref().map(open).transpose()?;
    let json = match file {
        None => None,
        Some(file) => {
            let layer =
                fmt::layer().json().flatten_event(true).with_writer(Mutex::new(LogFile::new(file)));
            Some(layer.with_filter(filter()?))
        }
    };
    // Whoever only watches the log learns of a panic too.
    std::panic::set_hook(Box::new(|panic| {
        let trace = Backtrace::capture();
        match trace.status() {
            BacktraceStatus::Captured => tracing::error!(%panic, %trace, "a part broke"),
            _ => tracing::error!(%panic, "a part broke"),
        }
    }));
    // Only a second start in one process fails, and then the first one's lines are good.
    let _already = tracing_subscriber::registry().with(human).with(json).try_init();
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("the log file {} cannot be written", path.display()))
}
