//! Other people's software against ours: the scripts in `crates/tongbao/tests/clients` drive
//! published SDKs against the sandbox, in the clear and over TLS, the published webhook verifiers
//! against the gateway, and a real browser against the cashier
//! and the demo shop. Each script ends with an error at
//! the first disagreement.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::packages::{node_modules, python_path};
use crate::root;
use crate::steps::{Steps, run};
use tongbao_servers::{Server, find, free_port, tongbao_dev};

/// The scripts that drive an SDK. They move the clock, so each has a sandbox of its own.
const SDKS: &[&str] = &["wechat_v3.py", "wechat_v2.mjs", ALIPAY];

/// The scripts that need the gateway and no browser.
const WEBHOOKS: &[&str] = &["webhooks.py", "webhooks.mjs"];

const BROWSER: &[&str] = &["cashier.mjs", "shop.mjs"];

/// This one unzips bills with Python.
const ALIPAY: &str = "alipay.mjs";

/// What tells Node, Python and Python's requests which root to trust.
const ROOT_VARIABLES: [&str; 3] = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"];

/// How long a sandbox may take to make its keys.
const START_MAX: Duration = Duration::from_secs(60);

/// Runs every script, one step each; the SDKs' twice, once over TLS.
pub(crate) fn run_all(steps: &mut Steps) {
    let binary = root().join("target/debug/tongbao");
    for script in SDKS {
        for tls in [false, true] {
            let name = if tls { format!("{script} over TLS") } else { (*script).to_owned() };
            take(steps, &name, script, || run_sdk(&binary, script, tls));
        }
    }
    let mut server = None;
    let started = steps.take("tongbao dev", || {
        ensure!(binary.exists(), "{} was not built", binary.display());
        server = Some(tongbao_dev(&binary)?);
        Ok(())
    });
    let Some(server) = server.filter(|_| started) else { return };
    for script in WEBHOOKS.iter().chain(BROWSER) {
        take(steps, script, script, || run_with_gateway(&server, script));
    }
}

/// Takes a step, unless a program is missing without which the script cannot run.
fn take(steps: &mut Steps, name: &str, script: &str, step: impl FnOnce() -> Result<()>) {
    match needs(script).iter().find(|program| find(program).is_none()) {
        Some(program) => steps.skip(name, &format!("{program} is not installed")),
        None => {
            steps.take(name, step);
        }
    }
}

/// The programs without which a script cannot run.
fn needs(script: &str) -> &'static [&'static str] {
    match script {
        _ if BROWSER.contains(&script) => &["node", "chromium"],
        ALIPAY => &["node", "python3"],
        _ if script.ends_with(".py") => &["python3"],
        _ => &["node"],
    }
}

fn run_sdk(binary: &Path, script: &str, tls: bool) -> Result<()> {
    let sandbox = Sandbox::start(binary, tls)?;
    let mut command = command(&folder().join(script))?;
    environment(&mut command);
    if tls {
        command.envs(ROOT_VARIABLES.map(|name| (name, sandbox.tls_root())));
    }
    let done = run(command.arg(&sandbox.address));
    if done.is_err() {
        show_end("the sandbox's", &sandbox.log());
    }
    done
}

fn run_with_gateway(server: &Server, script: &str) -> Result<()> {
    let mut command = command(&folder().join(script))?;
    let text = fs::read_to_string(&server.address).context("reading dev.json")?;
    let dev: Value = serde_json::from_str(&text).context("dev.json is not JSON")?;
    let sandbox = dev["sandbox"].as_str().context("dev.json names no sandbox")?;
    environment(&mut command);
    let done = run(command.arg(sandbox).arg(&server.address));
    if done.is_err() {
        show_end("tongbao's", &server.log());
    }
    done
}

fn show_end(whose: &str, log: &str) {
    let lines: Vec<_> = log.lines().rev().take(15).collect();
    println!("the end of {whose} log:");
    lines.iter().rev().for_each(|line| println!("  {line}"));
}

/// A running `tongbao sandbox`, which is ended with its value. It keeps its keys in a folder under
/// the system's temporary one, and trades nowhere.
struct Sandbox {
    child: Child,
    folder: PathBuf,
    /// Where it listens.
    address: String,
}

impl Sandbox {
    fn start(binary: &Path, tls: bool) -> Result<Self> {
        let (port, scheme) = (free_port()?, if tls { "https" } else { "http" });
        let name = format!("tongbao-sandbox-{}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let log = fs::File::create(folder.join("log"))?;
        let mut command = dying_with_us(binary);
        command.args(["sandbox", "--listen", &format!("127.0.0.1:{port}"), "--credentials"]);
        command.arg(&folder).args(tls.then_some("--tls"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("starting {command:?}"));
        let child = child.inspect_err(|_| drop(fs::remove_dir_all(&folder)))?;
        let address = format!("{scheme}://127.0.0.1:{port}");
        let mut sandbox = Self { child, folder, address };
        sandbox.wait(tls)?;
        Ok(sandbox)
    }

    /// It listens before it writes the keys, and the root for TLS after them.
    fn wait(&mut self, tls: bool) -> Result<()> {
        let keys = self.folder.join("sandbox-credentials.json");
        let last = if tls { self.tls_root() } else { keys };
        let started = Instant::now();
        while !last.exists() {
            if self.child.try_wait()?.is_some() || started.elapsed() > START_MAX {
                bail!("the sandbox did not get ready; its log:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn tls_root(&self) -> PathBuf {
        self.folder.join("sandbox-tls-root.pem")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("a sandbox may still run: {error}");
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} stays behind: {error}", self.folder.display());
        }
    }
}

/// A command that is ended when we are, even if we are killed outright.
fn dying_with_us(program: &Path) -> Command {
    let Some(setpriv) = find("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "INT"]).arg(program);
    command
}

fn command(script: &Path) -> Result<Command> {
    let interpreter =
        if script.extension().is_some_and(|e| e == "py") { "python3" } else { "node" };
    let found = find(interpreter).with_context(|| format!("{interpreter} is not installed"))?;
    let mut command = Command::new(found);
    command.arg(script);
    Ok(command)
}

/// Tells a command where the packages, the browser and the folder for screenshots are.
pub(crate) fn environment(command: &mut Command) {
    command.env("TONGBAO_TEST_NODE_MODULES", node_modules());
    command.env("TONGBAO_TEST_PYTHONPATH", python_path());
    command.env("TONGBAO_TEST_SCREENS", root().join("target/screens"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(chromium) = find("chromium") {
        command.env("TONGBAO_TEST_CHROMIUM", chromium);
    }
}

fn folder() -> PathBuf {
    root().join("crates/tongbao/tests/clients")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_script_names_its_interpreter_first() {
        assert_eq!(needs("a/b/wechat_v3.py"), ["python3"]);
        assert_eq!(needs("wechat_v2.mjs"), ["node"]);
        assert_eq!(needs(ALIPAY), ["node", "python3"]);
        assert_eq!(needs("shop.mjs"), ["node", "chromium"]);
    }

    #[test]
    fn a_sandbox_that_does_not_start_shows_its_log_and_leaves_nothing() {
        let folders = || {
            let ours = format!("tongbao-sandbox-{}-", std::process::id());
            let all = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
            all.filter(|one| one.file_name().to_string_lossy().starts_with(&ours)).count()
        };
        let error = Sandbox::start(Path::new("/bin/false"), true).err().unwrap().to_string();
        assert!(error.contains("did not get ready"), "{error}");
        assert_eq!(folders(), 0);
    }

    #[test]
    fn every_script_in_the_list_exists() {
        for script in SDKS.iter().chain(WEBHOOKS).chain(BROWSER) {
            assert!(folder().join(script).is_file(), "{script}");
        }
    }
}
