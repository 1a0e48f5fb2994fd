//! `cargo xtask test`: everything that shows that tongbao works, from a fresh clone on. It installs
//! what is missing, starts the database servers, and says at the end what it had to leave out;
//! `.ci/run` calls it with `CI=true`, where leaving out is a failure.

use std::process::Command;

use anyhow::Result;

use crate::packages;
use crate::steps::{Steps, cargo, run};
use crate::{check, clients, contract, sdk};
use tongbao_servers::{self as servers, Server, find};

/// The command; with filters only the Rust tests whose names contain one of them.
pub(crate) fn run_tests(filters: &[String]) -> Result<()> {
    let mut steps = Steps::new();
    install(&mut steps);
    let databases = Databases::start(&mut steps);
    if filters.is_empty() {
        check::inspect(&mut steps);
    }
    let built = steps.take("build", || run(&mut cargo(&["build", "--workspace", "--quiet"])));
    steps.take("tests", || run(databases.tell(&mut tests(filters))));
    if filters.is_empty() {
        // A build of its own, so that nothing else has the planted bugs in it.
        let planted = ["test", "--package", "tongbao-sim", "--features", "planted", "--quiet"];
        steps.take("planted bugs", || run(cargo(&planted).args(["--test", "planted"])));
        let doc = ["test", "--doc", "--workspace", "--quiet"];
        steps.take("doc tests", || run(&mut cargo(&doc)));
        if built {
            clients::run_all(&mut steps);
            contract::run_all(&mut steps);
        }
        sdk::run_all(&mut steps);
        steps.take("bench: lints, tests", || {
            let manifest = ["--manifest-path", "bench/Cargo.toml", "--quiet"];
            let lints = ["--all-targets", "--", "-D", "warnings"];
            run(cargo(&["clippy"]).args(manifest).args(lints))?;
            run(cargo(&["test"]).args(manifest))
        });
        // In the folder of the others, whose libraries it shares.
        steps.take("fuzz: corpora", || {
            let corpora = ["--manifest-path", "fuzz/Cargo.toml", "--quiet", "--locked"];
            run(cargo(&["test"]).args(corpora).args(["--target-dir", "target"]))
        });
    }
    drop(databases);
    steps.finish()
}

/// The command `clients`: only what other people's software says.
pub(crate) fn run_clients() -> Result<()> {
    let mut steps = Steps::new();
    install(&mut steps);
    if steps.take("build", || run(&mut cargo(&["build", "--package", "tongbao", "--quiet"]))) {
        clients::run_all(&mut steps);
    }
    sdk::run_all(&mut steps);
    steps.finish()
}

/// What cannot be installed is no failure yet: the steps that need it are skipped one by one.
fn install(steps: &mut Steps) {
    match packages::debian_obstacle() {
        Ok(Some(obstacle)) => steps.skip("Debian packages", &obstacle),
        Ok(None) | Err(_) => {
            steps.take("Debian packages", packages::debian);
        }
    }
    if find("npm").is_some() {
        steps.take("npm packages", packages::npm);
    } else {
        steps.skip("npm packages", "npm is not installed");
    }
    if find("python3").is_some() {
        steps.take("PyPI packages", packages::pypi);
    } else {
        steps.skip("PyPI packages", "python3 is not installed");
    }
}

/// nextest where it is installed, because it runs each test in a process of its own.
fn tests(filters: &[String]) -> Command {
    let mut command = if find("cargo-nextest").is_some() {
        cargo(&["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass"])
    } else {
        cargo(&["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"])
    };
    command.args(filters);
    command
}

/// The database servers of one run.
pub(crate) struct Databases {
    postgres: Option<Server>,
    mysql: Option<Server>,
}

impl Databases {
    /// Starts what is installed.
    pub(crate) fn start(steps: &mut Steps) -> Self {
        Self {
            postgres: Self::one(steps, "PostgreSQL", "postgres", servers::postgres),
            mysql: Self::one(steps, "MariaDB", "mariadbd", servers::mariadb),
        }
    }

    fn one(
        steps: &mut Steps,
        name: &str,
        program: &str,
        start: fn() -> Result<Server>,
    ) -> Option<Server> {
        if find(program).is_none() {
            steps.skip(name, &format!("{program} is not installed"));
            return None;
        }
        let mut server = None;
        steps.take(name, || {
            server = Some(start()?);
            Ok(())
        });
        server
    }

    /// Tells a command where they are.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let known = [
            ("TONGBAO_TEST_POSTGRES_URL", &self.postgres),
            ("TONGBAO_TEST_MYSQL_URL", &self.mysql),
        ];
        for (name, server) in known {
            if let Some(server) = server {
                command.env(name, &server.address);
            }
        }
        clients::environment(command);
        command
    }
}

#[cfg(test)]
mod filters {
    use super::*;

    #[test]
    fn filters_reach_the_runner() {
        let command = tests(&["store".to_owned()]);
        assert_eq!(command.get_args().last().and_then(|a| a.to_str()), Some("store"));
    }
}
