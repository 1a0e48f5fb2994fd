//! `tongbao demo`: the main job end to end in one terminal, over real sockets, with a gateway and a
//! sandbox of its own on free ports and data in a folder that goes at the end.
//!
//! It is a client like any other: everything is asked over HTTP and judged by the answers. The
//! first thing that is wrong ends it with an error. `acts.rs` has the scenes, `profiles.rs` those
//! of the older services, `timeline.rs` what is printed of them, `receiver.rs` the merchant's side.

mod acts;
mod profiles;
mod receiver;
mod timeline;

use crate::cli::DemoArgs;
use crate::commands::caller::Caller;
use crate::config::{Config, Sources};
use crate::listening::stop_signal;
use crate::logging;
use crate::output::{Screen, Style, table};
use crate::running::{Choosers, Running, Time, start};
use acts::{Outcome, Scene, Stage};
use anyhow::Context;
use receiver::{Door, Receiver};
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;
use tongbao_types::{AppName, Mode};

const APP: &str = "demo";
const CHOOSERS: Choosers = Choosers { gateway: "another machine", sandbox: "another machine" };

/// What is ordered, through which account.
const SCENES: [Scene; 3] = [
    Scene {
        title: "WeChat Pay, API v2",
        channel: "wechat.native",
        account: "demo_wechat_v2",
        subject: "龙井茶 Longjing tea",
        amount: 1200,
    },
    Scene {
        title: "WeChat Pay, API v3",
        channel: "wechat.native",
        account: "demo_wechat_v3",
        subject: "茉莉花茶 Jasmine tea",
        amount: 880,
    },
    Scene {
        title: "Alipay",
        channel: "alipay.qr",
        account: "demo_alipay_open",
        subject: "普洱茶 Pu'er tea",
        amount: 26_800,
    },
];

/// Plays all scenes.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let folder = Folder::make()?;
    let door = Door::open().await?;
    let base = if args.profiles { profiles::tables(&door)? } else { toml::Table::new() };
    let config = config(&folder.0, base)?;
    logging::start(&config.log)?;
    let told = stop_signal()?;
    let stop = CancellationToken::new();
    let screen = Screen::stdout();
    screen.line(screen.paint(Style::Bold, "tongbao demo: the main job, end to end"));
    screen.line("Starting a gateway and a provider sandbox on free ports …");
    let running = start(config, Time::Sandbox, CHOOSERS, &stop).await?;
    let played = tokio::select! {
        played = play(&running, &args, door, screen) => played,
        () = told.cancelled() => Err(anyhow::anyhow!("stopped before the end")),
    };
    stop.cancel();
    running.ended().await;
    summary(screen, &played?);
    Ok(())
}

async fn play(
    running: &Running,
    args: &DemoArgs,
    door: Door,
    screen: Screen,
) -> anyhow::Result<Vec<Outcome>> {
    let sandbox = running.sandbox.clone().context("the demo always has a sandbox")?;
    let app = AppName::new(APP)?;
    let key = running.engine.create_key(&app, Mode::Test, None).await?;
    let receiver = Receiver::start(door, running.clock.clone());
    let stage = Stage {
        api: Caller::new(&running.gateway, Some(key.text.expose())),
        sandbox: Caller::new(&sandbox, None),
        receiver,
        screen,
        shows_qr: !args.no_qr,
    };
    screen.line(format!("gateway {}, sandbox {sandbox}", running.gateway));
    let endpoint = json!({"url": stage.receiver.url(), "events": ["*"]});
    let endpoint = stage.api.post("/v1/webhook_endpoints", &endpoint).await?;
    stage.receiver.trust(endpoint["secret"].as_str().unwrap_or_default())?;
    screen.line(format!("webhooks go to {}, which verifies them", stage.receiver.url()));
    if args.profiles {
        return profiles::play(&stage, &Caller::new(&running.gateway, None)).await;
    }
    let mut outcomes = Vec::new();
    for scene in &SCENES {
        outcomes.push(acts::paid(&stage, scene).await.context(scene.title)?);
    }
    let [wechat_v2, wechat_v3, _] = &SCENES;
    let lost = acts::lost_notification(&stage, wechat_v3).await;
    outcomes.push(lost.context("the lost notification")?);
    let nobody = acts::nobody_pays(&stage, wechat_v2).await;
    outcomes.push(nobody.context("nobody pays")?);
    let twice = acts::paid_twice(&stage, wechat_v3).await;
    outcomes.push(twice.context("paid twice")?);
    Ok(outcomes)
}

fn config(folder: &Path, base: toml::Table) -> anyhow::Result<Config> {
    let place = |name: &str| folder.join(name).display().to_string();
    let settings = [
        "server.listen=127.0.0.1:0".to_owned(),
        "sandbox.listen=127.0.0.1:0".to_owned(),
        format!("sandbox.data={}", place("sandbox")),
        format!("database.url=sqlite://{}", place("tongbao.db")),
        format!("apps.0.name={APP}"),
        "webhooks.allow_loopback=true".to_owned(),
        // Quick, so that nobody waits for the scenes in which polling decides.
        "polling.delay=1s".to_owned(),
        "polling.attempts=3".to_owned(),
        "polling.backoff=fixed".to_owned(),
        "log.filter=error".to_owned(),
    ];
    // The surroundings do not matter here: the demo shows the same to everybody.
    let sources = Sources { base, set: settings.to_vec(), ..Sources::default() };
    Ok(sources.load()?)
}

fn summary(screen: Screen, outcomes: &[Outcome]) {
    let heading =
        ["SCENE", "CHANNEL", "AMOUNT", "LEARNT BY", "ENDED", "TOLD AFTER"].map(str::to_owned);
    let row = |outcome: &Outcome| {
        vec![
            outcome.title.clone(),
            outcome.channel.to_owned(),
            outcome.amount.clone(),
            outcome.learnt_by.to_owned(),
            outcome.ended.to_owned(),
            format!("{} ms", outcome.took_ms),
        ]
    };
    let rows: Vec<Vec<String>> =
        [heading.to_vec()].into_iter().chain(outcomes.iter().map(row)).collect();
    screen.line("");
    table(&rows).iter().for_each(|line| screen.line(line));
    screen.line("");
    screen.line(screen.paint(Style::Green, "✓ Everything went as it should."));
    screen.line("Next: `tongbao dev` gives you a gateway, a sandbox and a key to build with.");
}

/// A folder that goes when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Folder> {
        let name = format!("tongbao-demo-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)
            .with_context(|| format!("the folder {} cannot be made", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a folder for temporary files harms nobody.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}
