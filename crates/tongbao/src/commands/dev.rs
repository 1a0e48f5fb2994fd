//! `tongbao dev`: everything on loopback over one data folder, without any set-up.
//!
//! The API keys stand in `keys.json`, which only ever gains content, and in `dev.json`, which is
//! there exactly while everything listens, so that tools can wait for it. The demo shop is in
//! `dev/`.

mod orders;
mod shop;

use crate::cli::DevArgs;
use crate::config::{Config, Sources};
use crate::listening::stop_signal;
use crate::logging;
use crate::output::{Screen, Style};
use crate::running::{Choosers, Running, Time, start};
use anyhow::Context;
use orders::{Desk, Surroundings};
use serde::{Deserialize, Serialize};
use shop::Place;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tongbao_types::{AppName, Mode, Profile, Secret};

const CHOOSERS: Choosers = Choosers { gateway: "--listen", sandbox: "--sandbox-listen" };
const APP: &str = "dev";
const OTHER_APP: &str = "other";

/// `dev.json`, for tools.
#[derive(Debug, Serialize)]
struct DevFile<'a> {
    gateway: &'a str,
    sandbox: &'a str,
    shop: Option<&'a str>,
    app: &'a str,
    #[serde(flatten)]
    keys: &'a DevKeys,
    database: &'a str,
    log: &'a Path,
}

/// `keys.json`: the same keys at each start.
#[derive(Serialize, Deserialize)]
struct DevKeys {
    secret_key: String,
    live_secret_key: String,
    other_secret_key: String,
}

impl std::fmt::Debug for DevKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DevKeys(…)")
    }
}

/// Runs until it is told to stop.
pub(crate) async fn run(args: DevArgs) -> anyhow::Result<()> {
    let data = folder(&args.data)?;
    let _alone = lock(&data)?;
    let mut config = config(&args, &data)?;
    config.security.key_file = Some(data.join("master.key"));
    logging::start(&config.log)?;
    let dev_file = data.join("dev.json");
    remove(&dev_file)?;
    let stop = stop_signal()?;
    let place = Place::find(args.shop_listen.as_deref()).await?;
    let shop = place.base()?;
    let database = config.database.url.expose().clone();
    let log = config.log.file.clone().unwrap_or_default();
    let running = start(config, Time::Sandbox, CHOOSERS, &stop).await?;
    let keys = keys(&running, &data).await?;
    let sandbox = running.sandbox.as_deref().context("dev always has a sandbox")?;
    let file = DevFile {
        gateway: &running.gateway,
        sandbox,
        shop: shop.as_deref(),
        app: APP,
        keys: &keys,
        database: &database,
        log: &log,
    };
    let absence = place.absence();
    let around = Surroundings {
        gateway: running.gateway.clone(),
        key: keys.secret_key.clone(),
        own: shop.clone().unwrap_or_default(),
        sandbox: sandbox.to_owned(),
        clock: Arc::clone(&running.clock),
    };
    let desk = Arc::new(Desk::new(around, shop::menu()?));
    let serving = tokio::spawn(place.serve(desk, stop.clone()));
    write(&dev_file, &serde_json::to_vec_pretty(&file)?)?;
    welcome(&file, &dev_file, &absence);
    running.ended().await;
    let _ended = serving.await;
    remove(&dev_file)
}

fn folder(path: &Path) -> anyhow::Result<PathBuf> {
    let wrong = || format!("the data folder {} cannot be used", path.display());
    let mut builder = std::fs::DirBuilder::new();
    // The database and the sandbox's files hold keys of test accounts, but keys all the same.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).with_context(wrong)?;
    path.canonicalize().with_context(wrong)
}

/// Two gateways over one sandbox's journal would spoil it. The lock goes with the process.
fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join("lock");
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
    file.try_lock().map_err(|_| {
        anyhow::anyhow!(
            "another `tongbao dev` runs over {}; stop it, or choose another folder with --data",
            data.display()
        )
    })?;
    Ok(file)
}

fn config(args: &DevArgs, data: &Path) -> anyhow::Result<Config> {
    let place = |name: &str| data.join(name).display().to_string();
    let table = |pairs: Vec<(&str, toml::Value)>| -> toml::Value {
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
        pairs.collect::<toml::Table>().into()
    };
    let apps = [APP, OTHER_APP].map(|name| table(vec![("name", name.into())]));
    let sandbox = [("listen", "127.0.0.1:9010".into()), ("data", place("sandbox").into())];
    let loopback = || toml::Value::Array(vec!["127.0.0.0/8".into(), "::1/128".into()]);
    let profiles = Profile::ALL.iter().map(|profile| {
        table(vec![
            ("profile", profile.as_str().into()),
            ("app", APP.into()),
            ("allow_from", loopback()),
            ("livemode", false.into()),
        ])
    });
    let database = format!("sqlite://{}", place("tongbao.db"));
    let base = [
        ("server", table(vec![("listen", "127.0.0.1:9009".into())])),
        ("database", table(vec![("url", database.into())])),
        ("apps", apps.to_vec().into()),
        ("webhooks", table(vec![("allow_loopback", true.into())])),
        ("compat", profiles.collect::<Vec<_>>().into()),
        ("sandbox", table(sandbox.to_vec())),
        ("log", table(vec![("file", place("tongbao.log").into())])),
    ];
    let base = base.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    // The options stand for keys; what --set says after them is the last word.
    let listen = args.listen.iter().map(|address| format!("server.listen={address}"));
    let sandbox = args.sandbox_listen.iter().map(|address| format!("sandbox.listen={address}"));
    let set: Vec<String> = listen.chain(sandbox).chain(args.settings.set.iter().cloned()).collect();
    Ok(Sources::of_base(base, &set).load()?)
}

/// Reads the keys, or makes them, and makes sure that the database knows them.
async fn keys(running: &Running, data: &Path) -> anyhow::Result<DevKeys> {
    let path = data.join("keys.json");
    let app = AppName::new(APP)?;
    let other = AppName::new(OTHER_APP)?;
    let engine = &running.engine;
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let make = async |app: &AppName, mode| {
                let made = engine.create_key(app, mode, Some("made by tongbao dev".to_owned()));
                anyhow::Ok(made.await?.text.expose().clone())
            };
            let made = DevKeys {
                secret_key: make(&app, Mode::Test).await?,
                live_secret_key: make(&app, Mode::Live).await?,
                other_secret_key: make(&other, Mode::Test).await?,
            };
            write(&path, &serde_json::to_vec_pretty(&made)?)?;
            return Ok(made);
        }
        Err(error) => return Err(error).context(format!("{} cannot be read", path.display())),
    };
    let keys: DevKeys = serde_json::from_slice(&text)
        .with_context(|| format!("{} is damaged; delete it for new keys", path.display()))?;
    let known = [
        (&app, Mode::Test, &keys.secret_key),
        (&app, Mode::Live, &keys.live_secret_key),
        (&other, Mode::Test, &keys.other_secret_key),
    ];
    for (app, mode, text) in known {
        engine.keep_key(app, mode, &Secret::new(text.clone())).await?;
    }
    Ok(keys)
}

/// Puts a file in place in one step, readable by its owner alone.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let draft = path.with_extension("draft");
    let placed = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        file.write_all(bytes)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    placed().with_context(|| format!("{} cannot be written", path.display()))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

fn welcome(file: &DevFile<'_>, path: &Path, no_shop: &str) {
    let screen = Screen::stdout();
    let head = |text: &str| screen.paint(Style::Bold, text);
    let DevFile { gateway, sandbox, keys, .. } = file;
    let shop = match file.shop {
        Some(shop) => format!("{shop}   (a pretended shop that is paid through this gateway)"),
        None => no_shop.to_owned(),
    };
    let lines = [
        format!("{}  {gateway}   (API reference: {gateway}/docs)", head("gateway")),
        format!("{}  {sandbox}   (a wallet that pays: {sandbox}/)", head("sandbox")),
        format!("{}     {shop}", head("shop")),
        format!("{} {}   (app {APP}, test)", head("test key"), keys.secret_key),
        format!("{} {}   (app {APP}, live)", head("live key"), keys.live_secret_key),
        format!("{}    {}   (app {OTHER_APP}, test)", head("other"), keys.other_secret_key),
        format!("{} {}", head("profiles"), profiles(gateway)),
        format!(
            "{}     {}   (all of this for tools: {})",
            head("data"),
            file.database,
            path.display()
        ),
        String::new(),
        head("A first charge:"),
        format!("curl {gateway}/v1/charges \\"),
        format!("  -H 'Authorization: Bearer {}' \\", keys.secret_key),
        "  -H 'Content-Type: application/json' \\".to_owned(),
        "  -d '{\"amount\": 1200, \"subject\": \"Tea\", \"channel\": \"wechat.native\"}'"
            .to_owned(),
        String::new(),
        format!("Pay its code_url in the wallet at {sandbox}/, or:"),
        format!("curl {sandbox}/_sandbox/pay -d '{{\"code\": \"weixin://…\"}}'"),
        String::new(),
        "Ctrl-C stops everything; the data stays.".to_owned(),
    ];
    lines.iter().for_each(|line| screen.line(line));
}

/// Where callers of the older services find their routes.
fn profiles(gateway: &str) -> String {
    let all = Profile::ALL.iter().map(|profile| match profile {
        Profile::AuthPay => "/auth",
        Profile::Wepay => "/apis/v1/wepay",
        Profile::Wxpay => "/wxPay",
        Profile::Payorder => "/order",
        Profile::Capi => "/capi/api/v1/charge",
    });
    format!("{gateway}{}   (older services' routes)", all.collect::<Vec<_>>().join(" "))
}
