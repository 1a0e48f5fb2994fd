//! Bills: when everything else has come to rest, the clerk of each merchant fetches the bills of
//! the days on which something happened, over a network that cuts, slows and spoils them.

use crate::fault::Point;
use crate::hooks::scope;
use crate::kind::Kind;
use crate::life::Life;
use crate::process::Process;
use crate::providers::Merchant;
use crate::trace::say;
use futures_util::StreamExt;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tongbao_engine::{
    BillContent, BillDate, BillFile, BillFormat, BillKind, BillRequest, BillWhose, Error, Retry,
};
use tongbao_types::{Code, Span, Timestamp};

/// The bills of one account, of all days.
#[derive(Debug, Clone)]
pub(crate) struct Bills {
    pub(crate) merchant: Merchant,
    pub(crate) kind: Kind,
    /// Their lines, as the gateway shows them.
    pub(crate) lines: Vec<Value>,
}

/// All that were fetched.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<Vec<Bills>>);

impl Shelf {
    pub(crate) fn all(&self) -> Vec<Bills> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, bills: Bills) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bills);
    }
}

/// More tries than faults can spoil.
pub(crate) const FAULTS_MAX: u32 = 12;
const TRIES_MAX: u32 = FAULTS_MAX + 4;
/// Both providers have the day's bill by noon of the next day.
const NOON: Span = Span::from_seconds(36 * 3_600);
/// Neither has it by then.
const DAWN: Span = Span::from_seconds(30 * 3_600);

/// Who fetches bills: through one gateway, and through another when it dies.
struct Clerk {
    life: Arc<Life>,
    process: Process,
}

/// Fetches all bills. Nothing else is under way.
pub(crate) async fn fetch(life: &Arc<Life>) {
    let days = days(life).await;
    let (Some(last), true) = (days.last().copied(), life.plan.has_bills) else { return };
    life.faults.turn_to_bills();
    let process = Process::start(life, FIRST_CLERK);
    process.stop().await;
    let mut clerk = Clerk { life: Arc::clone(life), process };
    clerk.wait_until(last.start() + DAWN);
    for shop in &life.plan.shops {
        for &kind in &shop.accounts {
            clerk.come_too_early(shop.merchant, kind, last).await;
        }
    }
    clerk.wait_until(last.start() + NOON);
    for shop in &life.plan.shops {
        for &kind in &shop.accounts {
            let mut lines = Vec::new();
            for day in &days {
                lines.extend(clerk.bill(shop.merchant, kind, *day).await);
            }
            if kind.has_bills() {
                life.shelf.add(Bills { merchant: shop.merchant, kind, lines });
            }
        }
    }
}

/// The numbers of the others are far below.
const FIRST_CLERK: u32 = 1_000_000;

/// The days in China on which money moved.
async fn days(life: &Life) -> BTreeSet<BillDate> {
    let mut days = BTreeSet::new();
    for desk in life.desks.values() {
        for trade in desk.trades().await {
            let refunds = trade.refunds.iter();
            let moments = refunds.flat_map(|refund| [refund.accepted_at, refund.ended_at]);
            days.extend(moments.chain([trade.paid_at]).flatten().map(BillDate::of));
        }
    }
    days
}

fn request(kind: Kind, account: Merchant, date: BillDate, format: BillFormat) -> BillRequest {
    BillRequest {
        whose: BillWhose::Provider(kind.provider()),
        account: Some(kind.name(account)),
        date,
        kind: BillKind::Trade,
        format,
    }
}

impl Clerk {
    fn wait_until(&self, moment: Timestamp) {
        let clock = &self.life.clock;
        if clock.now() < moment {
            clock.jump_to(moment);
        }
    }

    /// Before a bill is made nobody gets one.
    async fn come_too_early(&mut self, merchant: Merchant, kind: Kind, date: BillDate) {
        if self.life.clock.now() >= date.start() + NOON {
            return;
        }
        let wanted = request(kind, merchant, date, BillFormat::Original);
        match self.ask(merchant, &wanted).await {
            Some(Ok(_)) => {
                let what = format!("{kind:?} has a bill of {date} before it is made");
                self.life.ledger().accuse("bill too early", what);
            }
            Some(Err(error)) if error.code == Code::BillNotReady => {
                self.life.faults.coverage().count(format_args!("a bill is asked for too early"));
            }
            _ => {}
        }
    }

    /// The lines of a day's bill.
    async fn bill(&mut self, merchant: Merchant, kind: Kind, date: BillDate) -> Vec<Value> {
        for _ in 0..TRIES_MAX {
            let wanted = request(kind, merchant, date, BillFormat::Lines);
            let refused = match self.ask(merchant, &wanted).await {
                None => continue,
                Some(Ok((_, text))) => {
                    self.life.faults.coverage().count(format_args!("{kind:?}: bill"));
                    self.compare_with_original(merchant, kind, date, &text).await;
                    return text.lines().map(read_line).collect();
                }
                Some(Err(error)) => error,
            };
            let is_no_bill = match refused.code {
                Code::BillMissing => true,
                Code::ChannelUnavailable => !kind.has_bills(),
                _ => false,
            };
            if is_no_bill {
                return Vec::new();
            }
            if refused.retry == Retry::Never {
                break;
            }
            let wait = refused.retry_after.unwrap_or(Span::from_seconds(1));
            self.wait_until(self.life.clock.now() + wait);
        }
        let what = format!("{kind:?} of {date} is not to be had");
        self.life.ledger().accuse("bill", what);
        Vec::new()
    }

    /// What is kept is the provider's own file, and the provider is not asked for it again.
    async fn compare_with_original(
        &mut self,
        merchant: Merchant,
        kind: Kind,
        date: BillDate,
        lines: &str,
    ) {
        let calls = self.life.faults.count(Point::Bill);
        let wanted = request(kind, merchant, date, BillFormat::Original);
        let Some(Ok((content, text))) = self.ask(merchant, &wanted).await else {
            let what = format!("{kind:?} of {date} cannot be read a second time");
            return self.life.ledger().accuse("bill", what);
        };
        if self.life.faults.count(Point::Bill) != calls {
            self.life.ledger().accuse("bill", format!("{kind:?} of {date} is fetched twice"));
        }
        // Each line begins with a grave accent, and so does that of the sums.
        let rows = text.lines().filter(|row| row.starts_with('`')).count();
        if content == BillContent::Text && rows != lines.lines().count() + 1 {
            let what = format!("{kind:?} of {date}: {rows} rows, {} lines", lines.lines().count());
            self.life.ledger().accuse("bill lines", what);
        }
    }

    /// Asks once. None if the gateway dies of it; then another one is there.
    async fn ask(
        &mut self,
        merchant: Merchant,
        wanted: &BillRequest,
    ) -> Option<Result<(BillContent, String), Error>> {
        let asked = async {
            let file = self.process.engine.bill(&scope(merchant), wanted).await?;
            Ok(read(file).await)
        };
        let answer: Option<Result<_, Error>> = self.process.survive(asked).await;
        let said = match &answer {
            None => "nobody answers".to_owned(),
            Some(Ok((_, text))) => format!("{} bytes", text.len()),
            Some(Err(error)) => format!("{} {}", error.code.as_str(), error.message),
        };
        let (format, date) = (wanted.format, wanted.date);
        let account = wanted.account.as_ref().map(ToString::to_string).unwrap_or_default();
        say!(self.life.trace, "bill   {account} {date} {format:?} <- {said}");
        if answer.is_none() {
            self.process = Process::start(&self.life, self.process.number + 1);
            self.process.stop().await;
        }
        answer
    }
}

/// The whole of it; what is no text counts as text here.
async fn read(file: BillFile) -> (BillContent, String) {
    let BillFile { content, mut body, .. } = file;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => bytes.extend_from_slice(format!("\n{error}\n").as_bytes()),
        }
    }
    (content, String::from_utf8_lossy(&bytes).into_owned())
}

fn read_line(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()))
}
