//! One `tongbao serve` as a process of its own.

use crate::world::{Answer, answer, binary, http_client, signal};
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a start, or another change of readiness, may take before the test fails.
const START_MAX: Duration = Duration::from_secs(30);

/// A command that runs the program behind a prefix, such as one that enters a namespace.
pub(crate) fn program(prefix: &[String]) -> Command {
    let Some((first, rest)) = prefix.split_first() else { return Command::new(binary()) };
    let mut command = Command::new(first);
    command.args(rest).arg(binary());
    command
}

/// An instance, running or not.
pub(crate) struct Instance {
    /// `host:port`, the same at each start.
    pub(crate) address: String,
    /// JSON lines of all its lives, as it calls the file itself.
    pub(crate) log_file: PathBuf,
    /// The same as we call it.
    pub(crate) log: PathBuf,
    /// What it said on stderr.
    pub(crate) stderr: PathBuf,
    pub(crate) config: PathBuf,
    /// Values of `--set` for this instance.
    pub(crate) set: Vec<String>,
    pub(crate) prefix: Vec<String>,
    pub(crate) child: Option<Child>,
}

impl Instance {
    /// Starts the process and does not wait.
    pub(crate) fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let mut command = program(&self.prefix);
        command.args(["serve", "--config"]).arg(&self.config);
        command.args(["--set", &format!("server.listen={}", self.address)]);
        command.args(["--set", &format!("log.file={}", self.log_file.display())]);
        self.set.iter().for_each(|set| {
            command.args(["--set", set]);
        });
        command.current_dir(self.config.parent().unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(append(&self.stderr));
        self.child = Some(command.spawn().unwrap());
    }

    /// Starts the process and waits until `/readyz` says 200; how long that took.
    pub(crate) async fn start(&mut self) -> Duration {
        let began = Instant::now();
        self.spawn();
        self.until_readiness(200).await;
        began.elapsed()
    }

    /// What `/readyz` says; nothing if nobody answers.
    pub(crate) async fn readiness(&self, http: &reqwest::Client) -> Option<Answer> {
        let url = format!("http://{}/readyz", self.address);
        answer(http.get(url)).await.ok()
    }

    /// Waits until `/readyz` has this status; what it says, and how long that took.
    pub(crate) async fn until_readiness(&mut self, status: u16) -> (Answer, Duration) {
        let began = Instant::now();
        let http = http_client();
        loop {
            let answer = self.readiness(&http).await;
            if let Some(answer) = answer.as_ref().filter(|answer| answer.status == status) {
                return (answer.clone(), began.elapsed());
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}");
            let waited = began.elapsed() < START_MAX;
            assert!(waited, "{} is not {status} in time, but {answer:?}", self.address);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends a signal, such as `-STOP`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.as_ref().expect("it runs"), name);
    }

    /// Ends it at once and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone_already = child.kill();
            child.wait().unwrap();
        }
    }

    /// Waits for its end, which a signal asked for, without holding up anybody else.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The lines of its log at this level, such as `ERROR`.
    pub(crate) fn logged(&self, level: &str) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        let level = format!(r#""level":"{level}""#);
        text.lines().filter(|line| line.contains(&level)).map(str::to_owned).collect()
    }

    /// The ends of its logs, for a person.
    pub(crate) fn tail(&self) -> String {
        let end = |path: &PathBuf| {
            let text = std::fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines: Vec<_> = text.lines().rev().take(40).collect();
            lines.into_iter().rev().collect::<Vec<_>>().join("\n")
        };
        format!("{}:\n{}", self.stderr.display(), end(&self.stderr))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn append(path: &PathBuf) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}
