//! Throw-away servers for tests: PostgreSQL, MariaDB and `tongbao dev`, each with a data folder of
//! its own under the system's temporary folder, on a free port, stopped and removed when its value
//! goes away, whatever happened in between. A test may also stop one as a crash would and start it
//! again over the same data. The database servers never wait for the disk: what they have written
//! outlives their process, though not the machine. Never shipped.

mod programs;
mod proxy;

pub use programs::{find, is_root, output, run};
pub use proxy::CommitCutter;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(10);
const PASSWORD: &str = "throwaway";

/// A running server.
pub struct Server {
    child: Child,
    command: Command,
    ready: Box<dyn Fn() -> bool + Send + Sync>,
    folder: PathBuf,
    log: PathBuf,
    signals: Signals,
    /// How tests reach it: a database URL, or the file that `tongbao dev` leaves.
    pub address: String,
}

/// What ends a server.
#[derive(Clone, Copy)]
struct Signals {
    /// In order.
    gently: &'static str,
    /// At once, as a crash would: what is not committed is lost, and the next start recovers.
    at_once: &'static str,
}

/// Starts PostgreSQL.
pub fn postgres() -> Result<Server> {
    let (initdb, postgres) = (program("initdb")?, program("postgres")?);
    let owner = Owner::other("postgres")?;
    let folder = owner.folder("postgres")?;
    let data = folder.join("data");
    let init = ["--auth=trust", "--username=tongbao", "--encoding=UTF8", "--no-sync"];
    let mut command = owner.command(&initdb);
    command.args(init).arg("--locale=C").arg("-D").arg(&data).current_dir(&folder);
    run(command.stdout(Stdio::null()))?;
    let port = free_port()?;
    let mut command = owner.command(&postgres);
    command.arg("-D").arg(&data).arg("-k").arg(&folder).args(["-h", "127.0.0.1", "-p"]);
    command.arg(port.to_string());
    for setting in ["fsync=off", "full_page_writes=off", "max_connections=300"] {
        command.args(["-c", setting]);
    }
    let url = format!("postgres://tongbao@127.0.0.1:{port}/postgres");
    let ask = program("psql").or_else(|_| program("pg_isready"))?;
    let ready = move || {
        let mut command = Command::new(&ask);
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "tongbao"]);
        if ask.ends_with("psql") {
            command.args(["-d", "postgres", "-c", "select 1"]);
        }
        output(&mut command).is_ok()
    };
    Server::start(command, folder, Signals { gently: "INT", at_once: "QUIT" }, (url, ready))
}

/// Starts MariaDB; the user of the address may create databases.
pub fn mariadb() -> Result<Server> {
    let (install, mariadbd) = (program("mariadb-install-db")?, program("mariadbd")?);
    let owner = Owner::other("mysql")?;
    let folder = owner.folder("mariadb")?;
    let data = format!("--datadir={}", folder.join("data").display());
    let no_config = "--no-defaults";
    let normal = "--auth-root-authentication-method=normal";
    let mut command = owner.command(&install);
    command.args([no_config, &data, normal, "--skip-test-db"]).current_dir(&folder);
    run(command.stdout(Stdio::null()))?;
    let grants = folder.join("grants.sql");
    fs::write(
        &grants,
        format!(
            "create user if not exists 'tongbao'@'127.0.0.1' identified by '{PASSWORD}';\n\
             grant all on *.* to 'tongbao'@'127.0.0.1' with grant option;\n\
             create database if not exists test character set utf8mb4 collate utf8mb4_bin;\n"
        ),
    )?;
    let port = free_port()?;
    let socket = format!("--socket={}", folder.join("socket").display());
    let mut command = owner.command(&mariadbd);
    command.args([no_config, &data, &socket, "--bind-address=127.0.0.1", "--skip-name-resolve"]);
    command.arg(format!("--port={port}")).arg(format!("--init-file={}", grants.display()));
    command.args(["--skip-log-bin", "--innodb-flush-log-at-trx-commit=2", "--max-connections=300"]);
    command.args(["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M"]);
    let url = format!("mysql://tongbao:{PASSWORD}@127.0.0.1:{port}/test");
    let signals = Signals { gently: "TERM", at_once: "KILL" };
    Server::start(command, folder, signals, (url, move || greets(port)))
}

/// Starts `tongbao dev`; its address is the file that tells tools about it. Tools may show as many
/// wrong keys, and come as often, as they like.
pub fn tongbao_dev(binary: &Path) -> Result<Server> {
    let folder = Owner::me().folder("dev")?;
    let dev_json = folder.join("dev.json");
    let mut command = Owner::me().command(binary);
    command.arg("dev").arg("--data").arg(&folder).current_dir(&folder);
    command.args(["--listen", &format!("127.0.0.1:{}", free_port()?)]);
    command.args(["--sandbox-listen", &format!("127.0.0.1:{}", free_port()?)]);
    command.args(["--shop-listen", &format!("127.0.0.1:{}", free_port()?)]);
    for limit in ["wrong_keys_per_address", "requests_per_address", "requests_per_key"] {
        command.args(["--set", &format!("limits.{limit}=100000")]);
    }
    let address = dev_json.display().to_string();
    let signals = Signals { gently: "INT", at_once: "KILL" };
    Server::start(command, folder, signals, (address, move || dev_json.exists()))
}

impl Server {
    fn start(
        mut command: Command,
        folder: PathBuf,
        signals: Signals,
        (address, ready): (String, impl Fn() -> bool + Send + Sync + 'static),
    ) -> Result<Self> {
        let log = folder.join("log");
        let file = fs::File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let ready = Box::new(ready);
        let mut server = Self { child, command, ready, folder, log, signals, address };
        server.wait()?;
        Ok(server)
    }

    /// Waits until it is ready; an error carries the end of the server's log.
    fn wait(&mut self) -> Result<()> {
        let started = Instant::now();
        while !(self.ready)() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || started.elapsed() > START_MAX {
                let log = self.log();
                let tail: Vec<_> = log.lines().rev().take(20).collect();
                let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                bail!("the server did not get ready ({ended:?}); its log ends:\n{tail}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The server's output so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as a crash would, and waits until it is gone. Its data stay.
    pub fn crash(&mut self) -> Result<()> {
        self.end(self.signals.at_once)
    }

    /// Starts it again after [`Server::crash`], at the same address over the same data, and waits
    /// until it is ready.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = self.command.spawn().context("starting a server again")?;
        self.wait()
    }

    fn end(&mut self, signal: &str) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = self.child.id().to_string();
        run(Command::new("kill").args(["-s", signal, &pid]))?;
        let started = Instant::now();
        while self.child.try_wait()?.is_none() {
            if started.elapsed() > STOP_MAX {
                self.child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end(self.signals.gently) {
            eprintln!("a server may still run: {error:#}");
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} stays behind: {error}", self.folder.display());
        }
    }
}

/// Whose name a server runs under: database servers refuse root.
struct Owner(Option<(u32, u32)>);

impl Owner {
    fn me() -> Self {
        Self(None)
    }

    /// If we are root, the user called `name`, else nobody; if not, ourselves.
    fn other(name: &str) -> Result<Self> {
        if !is_root()? {
            return Ok(Self::me());
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let ids = user_ids(&users, name).or_else(|| user_ids(&users, "nobody"));
        Ok(Self(Some(ids.context("there is no user to run a database server as")?)))
    }

    /// A new folder that belongs to the owner alone.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tongbao-{name}-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        if let Some((user, group)) = self.0 {
            chown(&folder, Some(user), Some(group))?;
        }
        Ok(folder)
    }

    /// `program` under the owner's name. It is told to die with us, should we be killed outright.
    fn command(&self, program: &Path) -> Command {
        let Some(setpriv) = find("setpriv") else { return Command::new(program) };
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "INT"]);
        if let Some((user, group)) = self.0 {
            command.args([format!("--reuid={user}"), format!("--regid={group}")]);
            command.arg("--clear-groups");
        }
        command.arg(program);
        command
    }
}

/// User and group of `name` in the text of /etc/passwd.
fn user_ids(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn program(name: &str) -> Result<PathBuf> {
    find(name).with_context(|| format!("{name} is not installed"))
}

/// A port that nothing listened on a moment ago, below those that the system gives to callers: so
/// it is still free when a server comes back to it.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    for _ in 0..1000 {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 12_000 + u16::try_from(number % 20_000).context("it is below 20,000")?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port from 12000 to 32000 is free")
}

/// Whether a MySQL server sends its greeting.
fn greets(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let Ok(mut socket) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let timeout = socket.set_read_timeout(Some(Duration::from_secs(2)));
    timeout.is_ok() && std::io::Read::read_exact(&mut socket, &mut [0; 5]).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_from_passwd() {
        let users = "root:x:0:0:root:/:/bin/sh\npostgres:x:101:104::/var:/bin/sh\n";
        assert_eq!(user_ids(users, "postgres"), Some((101, 104)));
        assert_eq!(user_ids(users, "mysql"), None);
        assert_eq!(user_ids(users, "post"), None);
    }

    const SIGNALS: Signals = Signals { gently: "TERM", at_once: "KILL" };

    fn sleeper() -> Server {
        let folder = Owner::me().folder("sleeper").unwrap();
        let mut sleeper = Command::new("sleep");
        sleeper.arg("60");
        Server::start(sleeper, folder, SIGNALS, (String::new(), || true)).unwrap()
    }

    #[test]
    fn a_server_is_stopped_and_its_folder_removed_when_dropped() {
        let server = sleeper();
        let process = PathBuf::from(format!("/proc/{}", server.child.id()));
        let folder = server.folder.clone();
        assert!(process.exists() && folder.exists());
        drop(server);
        assert!(!process.exists() && !folder.exists());
    }

    #[test]
    fn a_server_that_crashed_starts_again_over_its_folder() {
        let mut server = sleeper();
        let first = server.child.id();
        server.crash().unwrap();
        assert!(server.folder.exists() && server.child.try_wait().unwrap().is_some());
        server.start_again().unwrap();
        assert!(server.child.id() != first && server.child.try_wait().unwrap().is_none());
    }

    #[test]
    fn a_server_that_ends_early_shows_its_log() {
        let folder = Owner::me().folder("early").unwrap();
        let mut early = Command::new("sh");
        early.args(["-c", "echo cannot bind; exit 3"]);
        let started = Server::start(early, folder, SIGNALS, (String::new(), || false));
        let error = started.err().unwrap().to_string();
        assert!(error.contains("cannot bind"), "{error}");
    }
}
