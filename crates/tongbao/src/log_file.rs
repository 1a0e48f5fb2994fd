//! Where log lines are put so that a disk without room never ends the process or holds it up: what
//! cannot be written is left out, and the first line that can be says how many are missing.

use serde_json::json;
use std::io::{self, Write};

/// Takes one whole line with each call of [`Write::write`], and never fails.
#[derive(Debug)]
pub(crate) struct LogFile<W> {
    file: W,
    missing: u64,
    /// The last line was cut off.
    is_torn: bool,
}

impl<W: Write> LogFile<W> {
    /// Over a file that was opened to append.
    pub(crate) fn new(file: W) -> LogFile<W> {
        LogFile { file, missing: 0, is_torn: false }
    }

    fn put(&mut self, line: &[u8]) -> bool {
        let mut rest = line;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(count) if count > 0 => rest = rest.get(count..).unwrap_or_default(),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    self.is_torn |= rest.len() < line.len();
                    return false;
                }
            }
        }
        true
    }

    /// Ends a line that was cut off, and says what is missing.
    fn catch_up(&mut self) -> bool {
        let end = if self.is_torn { "\n" } else { "" };
        let note = json!({
            "timestamp": jiff::Timestamp::now().to_string(),
            "level": "WARN",
            "message": "log lines are missing here: they could not be written",
            "count": self.missing,
        });
        let done = self.put(format!("{end}{note}\n").as_bytes());
        if done {
            (self.missing, self.is_torn) = (0, false);
        }
        done
    }
}

impl<W: Write> Write for LogFile<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let done = (self.missing == 0 || self.catch_up()) && self.put(line);
        self.missing += u64::from(!done);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    #[derive(Default)]
    struct Disk {
        room: usize,
        text: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.text.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_has_no_room_is_left_out_and_told_later() {
        let mut log = LogFile::new(Disk { room: 20, text: Vec::new() });
        for line in ["{\"n\": 1}\n", "{\"n\": 2}\n", "{\"n\": 3}\n", "{\"n\": 4}\n"] {
            assert_eq!(log.write(line.as_bytes()).unwrap(), line.len());
        }
        log.file.room = 10;
        log.write_all(b"{\"n\": 5}\n").unwrap();
        log.file.room = 1000;
        log.write_all(b"{\"n\": 6}\n").unwrap();
        let text = String::from_utf8(log.file.text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["{\"n\": 1}", "{\"n\": 2}"]);
        assert_eq!(lines[lines.len() - 1], "{\"n\": 6}");
        let told: serde_json::Value = serde_json::from_str(lines[lines.len() - 2]).unwrap();
        assert_eq!((&told["level"], &told["count"]), (&json!("WARN"), &json!(3)));
        let torn =
            lines.iter().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err());
        assert!(torn.count() <= 2, "{text}");
    }
}
