//! A large bill passes through without being held: it is fetched into a database, looked through,
//! and shown as lines and as it was, while the memory of the process hardly grows.
//!
//! By itself the test takes 40,000 lines, whose JSON alone is larger than what it allows;
//! `TONGBAO_BILL_LINES=1000000` takes more. It is alone in its process, since it measures that.

#![expect(clippy::unwrap_used, reason = "a test falls and tells")]

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tongbao_channels::{AccountSetup, Keys, WechatV2Keys, adapter};
use tongbao_core::{Backoff, Policy, Polling, Scope};
use tongbao_engine::{
    Account, App, BillDate, BillFormat, BillKind, BillRequest, BillWhose, Clock, Dice, Egress,
    Engine, Outgoing, Ports, Setup, StreamedResponse, Wire, WireError,
};
use tongbao_store::{Options, open};
use tongbao_types::{AccountName, AppName, HttpResponse, Mode, Provider, Secret, Span, Timestamp};

/// Caches of SQLite and of the allocator are part of it.
const GROWTH_KIB_MAX: u64 = 32 * 1024;

const HEADER: &str = "\u{feff}交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,\
    用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,\
    退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,\
    费率备注\r\n";

fn n_lines() -> u64 {
    std::env::var("TONGBAO_BILL_LINES").map_or(40_000, |text| text.parse().unwrap())
}

/// What the process holds, and held at most, in KiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// The numbers differ from line to line as real ones do, so that it does not pack too well.
fn line(n: u64) -> String {
    let odd = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "`2026-11-20 {:02}:{:02}:{:02},`wxab8acd895ab1638a,`1921000401,`0,`,`42{odd:026},\
         `ORDER{n:012},`oUpF8{odd:x},`NATIVE,`SUCCESS,`OTHERS,`CNY,`{}.{:02},`0.00,`0,`0,`0.00,\
         `0.00,`,`,`茶叶 250 克 第{n}号,`,`0.01000,`0.60%,`{}.{:02},`0.00,`\r\n",
        n / 3600 % 24,
        n / 60 % 60,
        n % 60,
        n % 1000,
        n % 100,
        n % 1000,
        n % 100
    )
}

/// A provider that makes the bill while it sends it.
struct Maker;

#[async_trait]
impl Wire for Maker {
    async fn send(&self, _: Outgoing) -> Result<HttpResponse, WireError> {
        panic!("bills are streamed")
    }

    async fn stream(&self, _: Outgoing) -> Result<StreamedResponse, WireError> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(HEADER.as_bytes()).unwrap();
        let pieces = stream::unfold((0, Some(packed)), |(from, packed)| async move {
            let mut packed = packed?;
            let until = (from + 500).min(n_lines());
            for n in from..until {
                packed.write_all(line(n).as_bytes()).unwrap();
            }
            if until < n_lines() {
                let piece = std::mem::take(packed.get_mut());
                return Some((Ok(Bytes::from(piece)), (until, Some(packed))));
            }
            packed.write_all("总交易单数,订单总金额\r\n`1.0,`0.0\r\n".as_bytes()).unwrap();
            Some((Ok(Bytes::from(packed.finish().unwrap())), (until, None)))
        });
        Ok(StreamedResponse { status: 200, headers: Vec::new(), body: pieces.boxed() })
    }
}

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        "2026-11-21T07:00:00Z".parse().unwrap()
    }

    fn wall(&self) -> Timestamp {
        self.now()
    }
}

#[derive(Default)]
struct Counting(AtomicU64);

impl Dice for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        bytes.iter_mut().zip(n.iter().cycle()).for_each(|(byte, n)| *byte = *n);
    }
}

fn setup() -> Setup {
    let app = AppName::new("shop").unwrap();
    let keys = Keys::WechatV2(WechatV2Keys {
        app_id: "wx0123456789abcdef".to_owned(),
        mch_id: "1900000109".to_owned(),
        api_key: Secret::new("TestTestTestTestTestTestTestTest".to_owned()),
        sign_type: "MD5".to_owned(),
        sub_app_id: None,
        sub_mch_id: None,
        p12: None,
    });
    let adapter = adapter(AccountSetup {
        name: AccountName::new("wechat").unwrap(),
        keys,
        endpoint: None,
        endpoint_ca: None,
        public_url: "https://pay.test".to_owned(),
        notify_url: None,
    });
    Setup {
        apps: vec![App { name: app.clone(), policy: Policy::default(), keeps_replies: false }],
        accounts: vec![Account { app, mode: Mode::Live, adapter: adapter.unwrap() }],
        polling: Polling {
            delay: Span::from_seconds(5),
            attempts: 3,
            backoff: Backoff::Exponential,
            ttl: Span::from_seconds(10),
        },
        public_url: "https://pay.test".to_owned(),
        egress: Egress::default(),
        call_timeout: Span::from_seconds(20),
        lease: None,
        callbacks: std::sync::Arc::new(tongbao_engine::NoCallbacks),
        master_keys: tongbao_engine::MasterKeys::default(),
    }
}

/// Counts lines and bytes of a bill, and looks at memory while it comes.
async fn take(engine: &Engine, format: BillFormat) -> (usize, usize) {
    let scope = Scope { app: AppName::new("shop").unwrap(), mode: Mode::Live };
    let request = BillRequest {
        whose: BillWhose::Provider(Provider::Wechat),
        account: None,
        date: BillDate::read_dashed("2026-11-20").unwrap(),
        kind: BillKind::Trade,
        format,
    };
    let file = engine.bill(&scope, &request).await.unwrap();
    let count = |(lines, bytes), piece: Bytes| async move {
        let ends = piece.iter().filter(|byte| **byte == b'\n').count();
        Ok((lines + ends, bytes + piece.len()))
    };
    file.body.try_fold((0, 0), count).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_bill_is_never_held() {
    if !std::path::Path::new("/proc/self/status").exists() {
        println!("skipped: this system does not tell what a process holds");
        return;
    }
    let folder = std::env::temp_dir().join(format!("tongbao_bill_{}", std::process::id()));
    let url = format!("sqlite://{}/t.db", folder.display());
    let store = Arc::new(open(&url, Options::default()).await.unwrap());
    let ports = Ports {
        store: store.clone(),
        wire: Arc::new(Maker),
        clock: Arc::new(Standing),
        dice: Arc::new(Counting::default()),
    };
    let engine = Engine::new(ports, setup()).unwrap();
    let before = memory("VmRSS");
    let took = |what: &str, since: Instant| {
        let (now, most) = (memory("VmRSS"), memory("VmHWM"));
        let seconds = Duration::as_secs_f32(&since.elapsed());
        println!("{what}: {seconds:.1} s; KiB held: {now}, at most {most}");
    };

    println!("KiB held before: {before}");
    let start = Instant::now();
    let (lines, bytes) = take(&engine, BillFormat::Lines).await;
    took(&format!("fetched, and {lines} lines of JSON ({bytes} bytes)"), start);
    assert_eq!(lines as u64, n_lines());

    let start = Instant::now();
    let (lines, bytes) = take(&engine, BillFormat::Original).await;
    took(&format!("again as it was ({bytes} bytes)"), start);
    assert_eq!(lines as u64, n_lines() + 3);
    assert!(bytes as u64 > n_lines() * 250, "{bytes}");

    let growth = memory("VmHWM").saturating_sub(before);
    store.close().await;
    std::fs::remove_dir_all(folder).unwrap();
    assert!(growth < GROWTH_KIB_MAX, "memory grew by {growth} KiB");
}
