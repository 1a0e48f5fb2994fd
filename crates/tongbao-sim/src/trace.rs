//! What happened in a life, line by line. The same seed gives the same lines.

use crate::clock::{BEGINNING, SimClock};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing_subscriber::fmt::MakeWriter;

/// The lines so far. Clones write into the same one.
#[derive(Clone)]
pub(crate) struct Trace {
    clock: Arc<SimClock>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    pub(crate) fn new(clock: Arc<SimClock>) -> Trace {
        Trace { clock, lines: Arc::default() }
    }

    /// Adds a line with the time since the beginning.
    pub(crate) fn say(&self, what: fmt::Arguments<'_>) {
        let micros = self.clock.now().since(BEGINNING).as_micros();
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        self.lines().push(format!("{seconds:>7}.{rest:06} {what}"));
    }

    /// Takes all lines out.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines())
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the gateway logs becomes part of the trace.
impl io::Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.say(format_args!("log    {}", text.trim_end()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Trace {
    type Writer = Trace;

    fn make_writer(&'a self) -> Trace {
        self.clone()
    }
}

/// `say!(trace, "text {}", value)`.
macro_rules! say {
    ($trace:expr, $($text:tt)*) => { $trace.say(format_args!($($text)*)) };
}
pub(crate) use say;
