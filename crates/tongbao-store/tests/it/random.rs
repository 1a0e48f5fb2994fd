//! Random operations, step by step, on each engine and on the model beside it: what one refuses the
//! other refuses alike, and what one answers the other answers. A failure prints the seed;
//! `TONGBAO_TEST_SEED=<seed>` walks the same way again.

use crate::data::*;
use crate::engines::{Engine, Fresh};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tongbao_core::{
    Attempt, Callback, Changes, Delivery, DeliveryState, Endpoint, EventKind, Job, JobChange,
    JobKind, Loaded, ProviderReply, Refund, RefundCause, ReplyKind, Scope,
};
use tongbao_engine::{
    ChargeFilter, Commit, DeliveryFilter, EventFilter, IdempotencyStep, Page, RefundFilter, Store,
};
use tongbao_store::MemoryStore;
use tongbao_types::{Channel, ChargeId, Code, Mode, OutRefundNo, Span, Timestamp};

const STEPS: usize = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_does_what_the_model_does() {
    walk_on(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_does_what_the_model_does() {
    walk_on(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_does_what_the_model_does() {
    walk_on(Engine::Mysql).await;
}

async fn walk_on(engine: Engine) {
    let seed = std::env::var("TONGBAO_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("seed {seed}: TONGBAO_TEST_SEED={seed} walks the same way again");
    if let Some(fresh) = Fresh::on(engine).await {
        let model = MemoryStore::new();
        let mut walk = Walk::new(seed);
        for step in 0..STEPS {
            walk.step(step, &*fresh.store, &model).await;
        }
        walk.compare_lists(&*fresh.store, &model).await;
        assert!(walk.taken > STEPS / 8, "too few commits were taken: {}", walk.taken);
        assert!(walk.refused > STEPS / 20, "too few commits were refused: {}", walk.refused);
        fresh.end().await;
    }
}

/// What the walk knows and may use again; old things on purpose too.
struct Walk {
    dice: StdRng,
    maker: Maker,
    now: i64,
    loaded: Vec<Loaded>,
    refunds: Vec<Refund>,
    endpoints: Vec<Endpoint>,
    deliveries: Vec<Delivery>,
    kinds: Vec<JobKind>,
    leases: Vec<Job>,
    taken: usize,
    refused: usize,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut dice = StdRng::seed_from_u64(seed);
        let maker = Maker::seeded(dice.random());
        Walk {
            dice,
            maker,
            now: 0,
            loaded: Vec::new(),
            refunds: Vec::new(),
            endpoints: Vec::new(),
            deliveries: Vec::new(),
            kinds: Vec::new(),
            leases: Vec::new(),
            taken: 0,
            refused: 0,
        }
    }

    async fn step(&mut self, step: usize, store: &dyn Store, model: &dyn Store) {
        self.now += self.dice.random_range(0..3);
        match self.dice.random_range(0..10) {
            0 => self.claim(step, store, model).await,
            1 => self.compare_one(step, store, model).await,
            2 if self.dice.random_bool(0.3) => self.compare_lists(store, model).await,
            _ => {
                let commit = self.commit();
                let wanted = model.commit(commit.clone()).await;
                let found = store.commit(commit.clone()).await;
                let word = |r: &Result<_, _>| format!("{r:?}");
                assert_eq!(word(&found), word(&wanted), "step {step}: {commit:#?}");
                match wanted {
                    Ok(()) => self.taken += 1,
                    Err(_) => {
                        self.refused += 1;
                        self.forget_some(&commit);
                    }
                }
            }
        }
    }

    /// Nothing can be built on what was refused, so little of it is remembered.
    fn forget_some(&mut self, refused: &Commit) {
        if refused.changes.is_some() && self.dice.random_bool(0.8) {
            self.loaded.pop();
        }
    }

    fn commit(&mut self) -> Commit {
        let mut commit = match self.dice.random_range(0..4) {
            0 => Commit::default(),
            1 => commit(self.insert()),
            _ => self.update().map(commit).unwrap_or_default(),
        };
        commit.jobs = (0..self.dice.random_range(0..3)).filter_map(|_| self.job()).collect();
        commit.deliveries = self.new_deliveries(&commit);
        match self.dice.random_range(0..12) {
            0 => commit.idempotency = Some(self.key()),
            1 => commit.refused = self.notice(),
            2 => commit.endpoint = Some(self.endpoint()),
            3 => {
                commit.endpoint_gone =
                    self.pick(|w| w.endpoints.len()).map(|n| self.endpoints[n].id);
            }
            4 | 5 => commit.delivery_tried = self.tried(),
            6 => commit.provider_reply = self.reply(),
            _ => {}
        }
        commit
    }

    fn pick(&mut self, len: impl Fn(&Walk) -> usize) -> Option<usize> {
        let len = len(self);
        (len > 0).then(|| self.dice.random_range(0..len))
    }

    fn scope(&mut self) -> Scope {
        let mut scope = scope(if self.dice.random_bool(0.7) { "shop" } else { "other" });
        if self.dice.random_bool(0.3) {
            scope.mode = Mode::Live;
        }
        scope
    }

    fn insert(&mut self) -> Changes {
        let scope = self.scope();
        let order_no = format!("N{}", self.dice.random_range(0..60));
        let charge = match self.dice.random_bool(0.3) {
            true => full_charge(&mut self.maker, &scope, &order_no),
            false => charge(&mut self.maker, &scope, &order_no),
        };
        let n = self.dice.random_range(0..3);
        let attempts = (0..n).map(|_| self.attempt(charge.id)).collect();
        let mut changes = insert(charge, attempts);
        self.decorate(&mut changes);
        changes
    }

    fn attempt(&mut self, charge: ChargeId) -> Attempt {
        let no = format!("T{}", self.dice.random_range(0..150));
        let mut attempt = attempt(&mut self.maker, charge, "acc", &no);
        attempt.channel = Channel::ALL[self.dice.random_range(0..Channel::ALL.len())];
        attempt.payer = self.dice.random_bool(0.3).then(payer);
        attempt
    }

    /// Of what was loaded, however long ago.
    fn update(&mut self) -> Option<Changes> {
        let at = self.pick(|walk| walk.loaded.len())?;
        let last = self.loaded.len() - 1;
        let at = if self.dice.random_bool(0.5) { at } else { last.saturating_sub(4) };
        let recent = self.dice.random_range(at..=last);
        let mut changes = update(&self.loaded[recent]);
        if self.dice.random_bool(0.3) {
            let new = self.attempt(changes.charge.id);
            changes.attempts_new.push(new.id);
            changes.attempts.push(new);
        }
        let states = charge_states(self.maker.id());
        changes.charge.state = states[self.dice.random_range(0..states.len())].clone();
        for at in 0..changes.attempts.len() {
            if self.dice.random_bool(0.5) {
                let states = attempt_states();
                let attempt = &mut changes.attempts[at];
                attempt.state = states[self.dice.random_range(0..states.len())].clone();
                attempt.action = actions()[self.dice.random_range(0..6)].clone();
                if !changes.attempts_new.contains(&attempt.id) {
                    changes.attempts_changed.push(attempt.id);
                }
            }
        }
        changes.charge.open_choice = self.dice.random_bool(0.5);
        self.refunds_of(&mut changes);
        self.decorate(&mut changes);
        Some(changes)
    }

    /// Steps of the refunds there are, and perhaps one more.
    fn refunds_of(&mut self, changes: &mut Changes) {
        for at in 0..changes.refunds.len() {
            if self.dice.random_bool(0.5) {
                let states = refund_states();
                let refund = &mut changes.refunds[at];
                refund.state = states[self.dice.random_range(0..states.len())].clone();
                refund.provider_no = self.dice.random_bool(0.5).then(|| "5030".to_owned());
                changes.refunds_changed.push(refund.id);
            }
        }
        for _ in 0..self.dice.random_range(0..3) {
            if let Some(new) = self.refund(changes) {
                add_refund(changes, new);
            }
        }
    }

    /// One of its numbers may be in use, never both, so that there is one right refusal.
    fn refund(&mut self, changes: &Changes) -> Option<Refund> {
        let attempt = changes.attempts.get(self.dice.random_range(0..3))?;
        let no = format!("R{}", self.dice.random_range(0..40));
        let fresh = self.maker.id::<ChargeId>().bare();
        let (refund_no, out_no) = match self.dice.random_bool(0.5) {
            true => (&no, &fresh),
            false => (&fresh, &no),
        };
        let mut refund = refund(&mut self.maker, (&changes.charge, attempt), refund_no, 1);
        refund.out_refund_no = OutRefundNo::new(out_no.as_str()).unwrap();
        refund.cause = RefundCause::ALL[self.dice.random_range(0..4)];
        if self.dice.random_bool(0.5) {
            refund.reason = Some("不要了".to_owned());
            refund.metadata = vec![("k".to_owned(), no)];
        }
        self.refunds.push(refund.clone());
        Some(refund)
    }

    /// Events and jobs; and the result is remembered whether it will be taken or not.
    fn decorate(&mut self, changes: &mut Changes) {
        for _ in 0..self.dice.random_range(0..3) {
            let kind = EventKind::ALL[self.dice.random_range(0..EventKind::ALL.len())];
            tell(changes, kind, &mut self.maker);
        }
        if let Some(event) = changes.events.first_mut() {
            event.refund = changes.refunds.last().map(|refund| refund.id);
        }
        self.kinds.push(JobKind::ExpireCharge(changes.charge.id));
        let refunds = changes.refunds.iter().map(|r| JobKind::PerformRefund(r.id, r.charge));
        self.kinds.extend(refunds);
        let polls = changes.attempts.iter().map(|a| JobKind::PollAttempt(a.id, a.charge));
        self.kinds.extend(polls);
        changes.jobs = (0..self.dice.random_range(0..3)).filter_map(|_| self.job()).collect();
        self.loaded.push(changes.after());
    }

    fn job(&mut self) -> Option<JobChange> {
        let recent = |walk: &mut Walk| {
            let len = walk.kinds.len();
            let at = walk.dice.random_range(len.saturating_sub(12)..len.max(1));
            walk.kinds.get(at).copied()
        };
        let run_at = Timestamp::from_seconds(self.now + self.dice.random_range(-5..20));
        match self.dice.random_range(0..6) {
            0 | 1 => recent(self).map(|kind| put(&mut self.maker, kind, run_at).1),
            2 => recent(self).map(JobChange::Drop),
            5 => {
                let held = self.leases.last().filter(|_| self.dice.random_bool(0.5));
                let kind = held.map(|job| job.kind).or_else(|| recent(self))?;
                Some(hasten(&mut self.maker, kind, run_at).1)
            }
            way => {
                let at = self.leases.len().checked_sub(1)?;
                let at = self.dice.random_range(at.saturating_sub(4)..=at);
                let Job { id, epoch, .. } = self.leases[at];
                let error = self.dice.random_bool(0.5).then(|| "no".to_owned());
                Some(match way {
                    3 => JobChange::Finish { id, epoch },
                    _ => JobChange::Again { id, epoch, run_at, error },
                })
            }
        }
    }

    fn new_deliveries(&mut self, commit: &Commit) -> Vec<Delivery> {
        let events = commit.changes.iter().flat_map(|changes| changes.events.clone());
        let mut all = Vec::new();
        for event in events.collect::<Vec<_>>() {
            if let Some(at) = self.pick(|walk| walk.endpoints.len()) {
                all.push(match self.dice.random_range(0..4) {
                    0 => callback(&mut self.maker, &event, Callback::CapiNotify),
                    _ => delivery(&mut self.maker, &event, &self.endpoints[at]),
                });
            }
        }
        self.deliveries.extend(all.clone());
        self.kinds.extend(all.iter().map(|delivery| JobKind::Deliver(delivery.id)));
        all
    }

    fn tried(&mut self) -> Option<Delivery> {
        let at = self.pick(|walk| walk.deliveries.len())?;
        let time = Timestamp::from_seconds(self.now);
        let state = match self.dice.random_range(0..3) {
            0 => DeliveryState::Pending { next_at: time },
            1 => DeliveryState::Succeeded { at: time },
            _ => DeliveryState::Failed { at: time },
        };
        Some(tried(&self.deliveries[at], state))
    }

    fn endpoint(&mut self) -> Endpoint {
        let scope = self.scope();
        let mut one = endpoint(&mut self.maker, &scope);
        if let Some(at) = self.pick(|walk| walk.endpoints.len())
            && self.dice.random_bool(0.4)
        {
            one.id = self.endpoints[at].id;
            one.scope = self.endpoints[at].scope.clone();
            one.created_at = self.endpoints[at].created_at;
            // Often enough another one took that version's place.
            one.version = self.endpoints[at].version + 1;
            one.secret_old = Some((one.secret.clone(), one.created_at));
        }
        self.endpoints.push(one.clone());
        one
    }

    fn key(&mut self) -> IdempotencyStep {
        let scope = self.scope();
        let key = format!("K{}", self.dice.random_range(0..3));
        match self.dice.random_range(0..4) {
            0 => IdempotencyStep::Done { scope, key, status: 201, body: "{}".to_owned() },
            1 => IdempotencyStep::Forget { scope, key },
            _ => {
                let at = Timestamp::from_seconds(self.now);
                IdempotencyStep::Begin(idempotency(&scope, &key, at))
            }
        }
    }

    fn reply(&mut self) -> Option<ProviderReply> {
        let at = self.pick(|walk| walk.loaded.len())?;
        let kind = ReplyKind::ALL[self.dice.random_range(0..ReplyKind::ALL.len())];
        let body = format!(r#"{{"n":"{}"}}"#, self.now);
        Some(reply(self.loaded[at].charge.id, kind, &body, self.now))
    }

    fn notice(&mut self) -> Option<tongbao_core::RefusedNotice> {
        let at = self.pick(|walk| walk.loaded.len())?;
        let code = Code::ALL[self.dice.random_range(0..3)];
        Some(refused(self.loaded[at].charge.id, code, "because", self.now))
    }

    /// A lease ends at once or not at all, so that no clock decides what comes out.
    async fn claim(&mut self, step: usize, store: &dyn Store, model: &dyn Store) {
        let now = Timestamp::from_seconds(self.now);
        let lease = if self.dice.random_bool(0.4) { Span::ZERO } else { Span::from_seconds(3600) };
        let limit = self.dice.random_range(1..6);
        let wanted = model.claim(now, lease, limit).await.unwrap();
        assert_eq!(store.claim(now, lease, limit).await.unwrap(), wanted, "step {step}");
        let due = model.next_due().await.unwrap();
        assert_eq!(store.next_due().await.unwrap(), due, "step {step}");
        self.leases.extend(wanted);
    }

    async fn compare_one(&mut self, step: usize, store: &dyn Store, model: &dyn Store) {
        if let Some(at) = self.pick(|walk| walk.loaded.len()) {
            let charge = &self.loaded[at].charge;
            let wanted = model.charge(charge.id).await.unwrap();
            let found = store.charge(charge.id).await.unwrap();
            assert_eq!(format!("{found:#?}"), format!("{wanted:#?}"), "step {step}");
            self.loaded.extend(wanted);
        }
        if let Some(at) = self.pick(|walk| walk.refunds.len()) {
            let id = self.refunds[at].id;
            let wanted = model.refund(id).await.unwrap();
            assert_eq!(store.refund(id).await.unwrap(), wanted, "step {step}");
        }
        if let Some(at) = self.pick(|walk| walk.loaded.len()) {
            let id = self.loaded[at].charge.id;
            let wanted = model.provider_replies(id).await.unwrap();
            assert_eq!(store.provider_replies(id).await.unwrap(), wanted, "step {step}");
        }
        if let Some(at) = self.pick(|walk| walk.deliveries.len()) {
            let id = self.deliveries[at].id;
            let wanted = model.delivery(id).await.unwrap();
            let found = store.delivery(id).await.unwrap();
            assert_eq!(format!("{found:#?}"), format!("{wanted:#?}"), "step {step}");
        }
        let number = number(&format!("T{}", self.dice.random_range(0..150)));
        let wanted = model.charge_by_out_trade_no(&account("acc"), &number).await.unwrap();
        let found = store.charge_by_out_trade_no(&account("acc"), &number).await.unwrap();
        assert_eq!(format!("{found:#?}"), format!("{wanted:#?}"), "step {step}");
        let before = Timestamp::from_seconds(self.now - 60);
        let wanted = model.prune(before).await.unwrap();
        assert_eq!(store.prune(before).await.unwrap(), wanted, "step {step}");
    }

    async fn compare_lists(&mut self, store: &dyn Store, model: &dyn Store) {
        let scope = self.scope();
        let limit = self.dice.random_range(1..300);
        let around = self.pick(|w| w.loaded.len()).map(|at| self.loaded[at].charge.id);
        let (older, newer) = match self.dice.random_range(0..3) {
            0 => (None, None),
            1 => (around, None),
            _ => (None, around),
        };
        let page = Page { limit, starting_after: older, ending_before: newer };
        let filter = ChargeFilter {
            status: self.dice.random_bool(0.3).then(|| "succeeded".to_owned()),
            channel: self.dice.random_bool(0.3).then_some(Channel::WechatNative),
            ..ChargeFilter::default()
        };
        let wanted = model.charges(&scope, &filter, page).await.unwrap();
        let found = store.charges(&scope, &filter, page).await.unwrap();
        assert_eq!(format!("{found:#?}"), format!("{wanted:#?}"), "{filter:?} {page:?}");
        self.compare_refunds(&scope, store, model).await;
        let filter = EventFilter { charge: around.filter(|_| limit % 2 == 0), kind: None };
        let page = Page { limit, starting_after: None, ending_before: None };
        let wanted = model.events(&scope, &filter, page).await.unwrap();
        assert_eq!(store.events(&scope, &filter, page).await.unwrap(), wanted);
        let page = Page { limit, starting_after: None, ending_before: None };
        let filter = DeliveryFilter::default();
        let wanted = model.deliveries(&scope, &filter, page).await.unwrap();
        assert_eq!(store.deliveries(&scope, &filter, page).await.unwrap(), wanted);
        let wanted = model.endpoints(&scope).await.unwrap();
        let found = store.endpoints(&scope).await.unwrap();
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
    }

    async fn compare_refunds(&mut self, scope: &Scope, store: &dyn Store, model: &dyn Store) {
        let around = self.pick(|w| w.refunds.len()).map(|at| self.refunds[at].clone());
        let (older, newer) = match self.dice.random_range(0..3) {
            0 => (None, None),
            1 => (around.as_ref(), None),
            _ => (None, around.as_ref()),
        };
        let page = Page {
            limit: self.dice.random_range(1..60),
            starting_after: older.map(|refund| refund.id),
            ending_before: newer.map(|refund| refund.id),
        };
        let around = around.as_ref();
        let filter = RefundFilter {
            charge: around.filter(|_| self.dice.random_bool(0.3)).map(|refund| refund.charge),
            status: self.dice.random_bool(0.3).then(|| "pending".to_owned()),
            created_after: around.filter(|_| self.dice.random_bool(0.2)).map(|r| r.created_at),
            ..RefundFilter::default()
        };
        let wanted = model.refunds(scope, &filter, page).await.unwrap();
        assert_eq!(store.refunds(scope, &filter, page).await.unwrap(), wanted, "{filter:?}");
    }
}
