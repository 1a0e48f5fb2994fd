//! Servers as processes: starting one and waiting until it is ready, what /proc says of it (CPU
//! time, resident memory), and stopping it by its id, also when the run fails.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Linux counts CPU time in hundredths of a second on every machine that tongbao runs on.
const TICK: Duration = Duration::from_millis(10);

/// A server that is stopped when this value goes away.
pub(crate) struct Server {
    child: Child,
    /// From spawning to the first 200 of `/readyz`.
    pub(crate) ready: Duration,
}

impl Server {
    /// Starts `command` and waits, 30 s at most, until `address` answers `/readyz` with 200.
    pub(crate) fn start(mut command: Command, address: SocketAddr) -> Result<Self> {
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).spawn();
        let mut child = child.with_context(|| format!("starting {command:?}"))?;
        while !is_ready(address) {
            if let Some(status) = child.try_wait()? {
                bail!("the server ended with {status} before it was ready: {command:?}");
            }
            if started.elapsed() > Duration::from_secs(30) {
                // Whether it could be stopped changes nothing about the failure.
                let _ = child.kill();
                bail!("the server was not ready within 30 s: {command:?}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Self { child, ready: started.elapsed() })
    }

    /// User and system time spent so far by all of its threads.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit_once(')').context("/proc/PID/stat has no name")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // utime and stime are fields 14 and 15; the state, field 3, comes first here.
        let ticks: u32 = fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
        Ok(TICK * ticks)
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }

    /// Kills the server and waits for its end, so that its files can be opened by others.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback address that nothing listened on a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> Result<bool> {
        let mut socket = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        let request = "GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n";
        socket.write_all(request.as_bytes())?;
        let mut head = [0; 12];
        socket.read_exact(&mut head)?;
        Ok(&head == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
