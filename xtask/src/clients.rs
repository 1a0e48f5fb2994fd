//! Other people's software against ours: the scripts in `crates/tongbao/tests/clients` drive
//! published SDKs against the sandbox, the published webhook verifiers against the gateway, and a
//! real browser against the cashier. Each script ends with an error at the first disagreement.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::packages::{find, node_modules, python_path};
use crate::root;
use crate::servers::{Server, tongbao_dev};
use crate::steps::{Steps, run};

/// The scripts that need no browser.
const SCRIPTS: &[&str] =
    &["wechat_v3.py", "wechat_v2.mjs", "alipay.mjs", "webhooks.py", "webhooks.mjs"];

const BROWSER: &str = "cashier.mjs";

/// Starts `tongbao dev` and runs every script against it, one step each.
pub(crate) fn run_all(steps: &mut Steps) {
    let mut server = None;
    let started = steps.take("tongbao dev", || {
        let binary = root().join("target/debug/tongbao");
        ensure!(binary.exists(), "{} was not built", binary.display());
        server = Some(tongbao_dev(&binary)?);
        Ok(())
    });
    let Some(server) = server.filter(|_| started) else { return };
    for script in SCRIPTS.iter().chain([&BROWSER]) {
        let missing = needs(script).iter().find(|program| find(program).is_none());
        match missing {
            Some(program) => steps.skip(script, &format!("{program} is not installed")),
            None => {
                steps.take(script, || run_script(&server, script));
            }
        }
    }
}

/// The programs without which a script cannot run.
fn needs(script: &str) -> &'static [&'static str] {
    match script {
        BROWSER => &["node", "chromium"],
        _ if script.ends_with(".py") => &["python3"],
        _ => &["node"],
    }
}

fn run_script(server: &Server, script: &str) -> Result<()> {
    let mut command = command(&folder().join(script))?;
    let text = std::fs::read_to_string(&server.address).context("reading dev.json")?;
    let dev: Value = serde_json::from_str(&text).context("dev.json is not JSON")?;
    let sandbox = dev["sandbox"].as_str().context("dev.json names no sandbox")?;
    environment(&mut command);
    let done = run(command.arg(sandbox).arg(&server.address));
    if done.is_err() {
        let log = server.log();
        let lines: Vec<_> = log.lines().rev().take(15).collect();
        println!("the end of tongbao's log:");
        lines.iter().rev().for_each(|line| println!("  {line}"));
    }
    done
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
        assert_eq!(needs("alipay.mjs"), ["node"]);
        assert_eq!(needs(BROWSER), ["node", "chromium"]);
    }

    #[test]
    fn every_script_in_the_list_exists() {
        for script in SCRIPTS.iter().chain([&BROWSER]) {
            assert!(folder().join(script).is_file(), "{script}");
        }
    }
}
