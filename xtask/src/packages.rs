//! What the tests need and a machine may lack: Debian packages (installed when we are root), npm
//! and PyPI packages (into the target folder, in pinned versions). What is there already is left
//! alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::root;
use tongbao_servers::{find, is_root, run};

/// A package and its version; one under another name has `npm:`, its own name and `@` before it.
const NPM: &[(&str, &str)] = &[
    ("tenpay", "2.1.18"),
    ("alipay-sdk", "4.14.0"),
    ("standardwebhooks", "1.1.1"),
    ("playwright-core", "1.65.1"),
    ("typescript", "5.9.3"),
    ("vue", "3.5.45"),
    ("vue2", "npm:vue@2.7.16"),
];

const PYPI: &[(&str, &str)] =
    &[("wechatpayv3", "2.0.4"), ("standardwebhooks", "1.1.0"), ("schemathesis", "4.32.5")];

/// A command and the Debian package that brings it.
const DEBIAN: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("mariadbd", "mariadb-server-core"),
    ("mariadb-install-db", "mariadb-server-core"),
    ("mariadb", "mariadb-client-core"),
    ("initdb", "postgresql"),
    ("postgres", "postgresql"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3"),
    ("pip3", "python3-pip"),
    ("gcc", "gcc"),
];

/// Chinese glyphs, without which screenshots show boxes; a font is no command.
const FONT: (&str, &str) = ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", "fonts-wqy-microhei");

/// Installs the Debian packages whose commands are missing; an error names those that stay missing.
pub(crate) fn debian() -> Result<()> {
    let missing = missing_debian();
    if missing.is_empty() {
        return Ok(());
    }
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(apt().args(["update", "-qq"]))?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    run(apt().args(install).args(&missing))?;
    let still = missing_debian();
    if still.is_empty() { Ok(()) } else { bail!("still missing: {}", still.join(" ")) }
}

/// Why the Debian packages that are missing cannot be installed here, if so.
pub(crate) fn debian_obstacle() -> Result<Option<String>> {
    let missing = missing_debian();
    let able = is_root()? && find("apt-get").is_some();
    let words = || format!("only root on Debian can install {}", missing.join(" "));
    Ok((!missing.is_empty() && !able).then(words))
}

fn missing_debian() -> Vec<&'static str> {
    let commands = DEBIAN.iter().filter(|(command, _)| find(command).is_none());
    let mut missing: Vec<_> = commands.map(|(_, package)| *package).collect();
    if !Path::new(FONT.0).exists() {
        missing.push(FONT.1);
    }
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// Installs the npm packages that are not there in the wanted version.
pub(crate) fn npm() -> Result<()> {
    let there = |(name, version): &&(&str, &str)| {
        let manifest = node_modules().join(name).join("package.json");
        let text = std::fs::read_to_string(manifest).unwrap_or_default();
        let found = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
        found["version"] == version.rsplit('@').next().unwrap_or_default()
    };
    if NPM.iter().all(|package| there(&package)) {
        return Ok(());
    }
    let Some(npm) = find("npm") else { bail!("npm is missing") };
    let folder = clients().join("node");
    std::fs::create_dir_all(&folder)?;
    let quiet = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"];
    let wanted = NPM.iter().map(|(name, version)| format!("{name}@{version}"));
    run(Command::new(npm).args(quiet).arg(&folder).args(wanted).current_dir(&folder))
}

/// Installs the PyPI packages that are not there in the wanted version.
pub(crate) fn pypi() -> Result<()> {
    let there = |(name, version): &(&str, &str)| {
        python_path().join(format!("{name}-{version}.dist-info")).exists()
    };
    if PYPI.iter().all(there) {
        return Ok(());
    }
    let Some(python) = find("python3") else { bail!("python3 is missing") };
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let wanted = PYPI.iter().map(|(name, version)| format!("{name}=={version}"));
    let mut pip = Command::new(python);
    pip.args(quiet).args(["--root-user-action=ignore", "--upgrade", "--target"]).arg(python_path());
    run(pip.args(wanted))
}

/// Where the npm packages are.
pub(crate) fn node_modules() -> PathBuf {
    clients().join("node/node_modules")
}

/// Where the PyPI packages are.
pub(crate) fn python_path() -> PathBuf {
    clients().join("py")
}

fn clients() -> PathBuf {
    root().join("target/clients")
}
