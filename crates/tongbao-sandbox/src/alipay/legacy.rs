//! The old gateway (mapi): `create_direct_pay_by_user` as a page, `notify_verify` and
//! `single_trade_query` for servers, signed with MD5 (Alipay, 即时到账交易接口). It is at the same
//! address and over the same trades as OpenAPI 2.0, since both know the merchant by its PID.

use super::notice::Told;
use super::orders::{content, limits};
use super::refusal::kept;
use super::{BUYER_LOGON_ID, find, mark, out_no, page, trade_no};
use crate::numbers;
use crate::order::{Api, Key, Order, Party, Product};
use crate::pretend::Pretend;
use crate::task::{Ask, Task};
use crate::trade::Trade;
use crate::traffic::Verdict;
use crate::wechat::Changes;
use crate::world::OrderRefusal;
use tongbao_alipay::legacy::direct_pay::{self, DirectPay, Timeout};
use tongbao_alipay::legacy::notify_verify::{self, NotifyVerify};
use tongbao_alipay::legacy::sign;
use tongbao_alipay::legacy::single_trade_query::{self, SingleTradeQuery, Trade as TradeTold};
use tongbao_alipay::legacy::{LegacyRequest, Notification, Refusal, Verdict as Word, error_page};
use tongbao_alipay::open::order::Expiry;
use tongbao_alipay::{Charset, TradeStatus};
use tongbao_types::{Fen, HttpRequest, HttpResponse, Provider, Secret, Span, Timestamp};

/// How long the `notify_id` of a return can be verified.
const RETURN_LIFE: Span = Span::from_seconds(60);

/// A request to the old gateway, its parameters and signature judged.
pub(crate) struct Asked {
    pub(super) request: LegacyRequest,
    accept_language: String,
    /// Why it is not carried out.
    refusal: Option<Refusal>,
    pub(super) verdict: Verdict,
}

impl Asked {
    /// None if the request is for OpenAPI 2.0.
    pub(super) fn read(pretend: &Pretend, request: &HttpRequest) -> Option<Asked> {
        let accept_language = request.header("accept-language").unwrap_or("").to_owned();
        let request = LegacyRequest::read(request).ok()?;
        if !LegacyRequest::is_one(&request.params) {
            return None;
        }
        let refusal = judge(pretend, &request).err();
        let verdict = verdict(pretend, &request);
        Some(Asked { request, accept_language, refusal, verdict })
    }

    pub(super) fn task(&self, pretend: &Pretend) -> Option<Task> {
        let number = self.request.params.filled("out_trade_no")?.into_owned();
        let key = Key::new(Provider::Alipay, number.as_str());
        match self.request.service()?.as_str() {
            direct_pay::SERVICE => {
                let amount = DirectPay::read(&self.request.params).ok()?.total_fee.fen().0;
                Some(Task { ask: Ask::Order, key, number, amount })
            }
            single_trade_query::SERVICE => Task::about(pretend, Ask::Query, &key),
            _ => None,
        }
    }

    pub(super) fn perform(&self, pretend: &Pretend) -> HttpResponse {
        if let Some(refusal) = &self.refusal {
            return self.say_no(refusal);
        }
        match self.request.service().unwrap_or_default().as_str() {
            direct_pay::SERVICE => match self.place(pretend) {
                Ok(key) => page::cashier(pretend, &key, &self.accept_language),
                Err(refusal) => error_page(&refusal),
            },
            notify_verify::SERVICE => NotifyVerify::answer(self.notify_verify(pretend)),
            single_trade_query::SERVICE => match self.trade_query(pretend) {
                Ok(told) => told.encode(&key(pretend)),
                Err(refusal) => single_trade_query::refuse(&refusal),
            },
            _ => self.say_no(&Refusal::ILLEGAL_SERVICE),
        }
    }

    pub(super) fn refuse(&self, code: &str) -> HttpResponse {
        let bare = code.rsplit_once('.').map_or(code, |(_, bare)| bare);
        let known = Refusal::ALL.iter().find(|refusal| refusal.code == bare);
        let invented = || Refusal { code: kept(bare), words: "业务处理失败" };
        self.say_no(&known.copied().unwrap_or_else(invented))
    }

    /// A buyer opens the address. The error is what the page says instead.
    pub(super) fn visit(&self, pretend: &Pretend) -> Result<Key, String> {
        let words = |refusal: &Refusal| format!("{} {}", refusal.code, refusal.words);
        if let Some(refusal) = &self.refusal {
            return Err(words(refusal));
        }
        let asked = DirectPay::read(&self.request.params).map_err(|refusal| words(&refusal))?;
        match self.place(pretend) {
            // Whoever comes back to an order that is over learns it from trying to pay.
            Err(Refusal::TRADE_NOT_ALLOWED_PAY) => {
                Ok(Key::new(Provider::Alipay, asked.out_trade_no.as_str()))
            }
            placed => placed.map_err(|refusal| words(&refusal)),
        }
    }

    fn say_no(&self, refusal: &Refusal) -> HttpResponse {
        match self.request.service().as_deref() {
            Some(direct_pay::SERVICE) => error_page(refusal),
            Some(notify_verify::SERVICE) => NotifyVerify::answer(Word::Invalid),
            _ => single_trade_query::refuse(refusal),
        }
    }

    fn place(&self, pretend: &Pretend) -> Result<Key, Refusal> {
        let params = &self.request.params;
        let asked = DirectPay::read(params)?;
        self.check_seller(pretend)?;
        // The old gateway appends its own query and takes no address that has one.
        let has_query = |url: &Option<String>| url.as_ref().is_some_and(|url| url.contains('?'));
        if has_query(&asked.notify_url) || has_query(&asked.return_url) {
            return Err(Refusal::ILLEGAL_ARGUMENT);
        }
        let expiry = asked.it_b_pay.map(|timeout| match timeout {
            Timeout::After(span) => Expiry::After(span),
            Timeout::Midnight => Expiry::Midnight,
        });
        let limits = limits(expiry, pretend.now()).map_err(|_| Refusal::ILLEGAL_ARGUMENT)?;
        let amount = asked.total_fee.fen().0;
        let order = Order {
            key: Key::new(Provider::Alipay, asked.out_trade_no.as_str()),
            api: Api::AlipayLegacy { charset: params.charset().name().to_owned() },
            product: Product::AlipayLegacyPage,
            app_id: pretend.credentials.alipay.legacy_partner.clone(),
            party: Party::default(),
            payer: None,
            amount,
            content: content(amount, &asked.subject, asked.body.as_deref()),
            subject: asked.subject,
            body: asked.body,
            attach: asked.extra_common_param,
            notify_url: asked.notify_url,
            return_url: asked.return_url,
            pay_until: limits.0,
            pay_within: limits.1,
        };
        let key = order.key.clone();
        pretend.change(|world, now| world.place(order, now))?;
        Ok(key)
    }

    /// Money only goes to the contract's own account, by whichever name.
    fn check_seller(&self, pretend: &Pretend) -> Result<(), Refusal> {
        let alipay = &pretend.credentials.alipay;
        let named = |name: &str| self.request.params.filled(name);
        let email = || named("seller_account_name").or_else(|| named("seller_email"));
        let ours = match named("seller_id") {
            Some(id) => *id == alipay.legacy_partner,
            None => email().is_some_and(|email| *email == alipay.seller_email),
        };
        if ours { Ok(()) } else { Err(Refusal::SELLER_NOT_EXIST) }
    }

    fn notify_verify(&self, pretend: &Pretend) -> Word {
        match NotifyVerify::read(&self.request.params) {
            None => Word::Invalid,
            Some(asked) if is_ours(pretend, &asked.notify_id) => Word::True,
            Some(_) => Word::False,
        }
    }

    fn trade_query(&self, pretend: &Pretend) -> Result<TradeTold, Refusal> {
        let asked = SingleTradeQuery::read(&self.request.params)?;
        let trade = find(pretend, &asked.trade).ok_or(Refusal::TRADE_NOT_EXIST)?;
        told(&trade).ok_or(Refusal::TRADE_NOT_EXIST)
    }
}

impl From<OrderRefusal> for Refusal {
    fn from(refusal: OrderRefusal) -> Refusal {
        match refusal {
            OrderRefusal::Paid | OrderRefusal::Closed => Refusal::TRADE_NOT_ALLOWED_PAY,
            OrderRefusal::Differs => Refusal::TRADE_DATA_MATCH_ERROR,
        }
    }
}

/// The shared key.
pub(super) fn key(pretend: &Pretend) -> Secret<String> {
    Secret::new(pretend.credentials.alipay.legacy_md5_key.clone())
}

/// The notification of an order by the old gateway.
pub(super) fn notification(
    pretend: &Pretend,
    told: &Told<'_>,
    trade: &Trade,
    changes: &Changes,
) -> Option<Notification> {
    let alipay = &pretend.credentials.alipay;
    let order = &trade.order;
    Some(Notification {
        notify_id: told.id.to_owned(),
        notify_time: Some(pretend.now()),
        out_trade_no: out_no(trade)?,
        trade_no: trade_no(trade)?,
        trade_status: TradeStatus::from_word(told.status),
        total_fee: Fen(changes.amount.unwrap_or(order.amount)),
        seller_id: changes.app_id.clone().unwrap_or_else(|| alipay.legacy_partner.clone()),
        seller_email: Some(alipay.seller_email.clone()),
        buyer_id: trade.payer.clone(),
        buyer_email: Some(BUYER_LOGON_ID.to_owned()),
        subject: Some(order.subject.clone()),
        body: order.body.clone(),
        extra_common_param: order.attach.clone(),
        gmt_create: trade.created_at,
        gmt_payment: trade.paid_at,
        gmt_close: trade.closed_at.filter(|_| told.status == "TRADE_CLOSED"),
        refund_status: told.refund.map(|_| "REFUND_SUCCESS".to_owned()),
        gmt_refund: told.refund.and_then(|refund| refund.ended_at),
    })
}

/// Where the browser of a buyer who paid is sent.
pub(super) fn return_address(pretend: &Pretend, trade: &Trade, charset: &str) -> Option<String> {
    let url = trade.order.return_url.as_deref()?;
    let id = return_id(pretend, pretend.now());
    let told = Told { id: &id, status: trade.alipay_status()?, refund: None };
    let members = notification(pretend, &told, trade, &Changes::default())?;
    let charset = Charset::from_name(charset).unwrap_or(Charset::Utf8);
    Some(members.to_return(url, charset, &key(pretend)))
}

/// A return's `notify_id`, which carries its own time: it is good for a minute.
fn return_id(pretend: &Pretend, now: Timestamp) -> String {
    let head = format!("{:010}{}", now.as_seconds(), numbers::digits(8));
    let mark = mark(pretend, &head);
    head + &mark
}

/// A notification's id is ours until the merchant has received it; a return's, for a minute.
fn is_ours(pretend: &Pretend, notify_id: &str) -> bool {
    let mine = |provider| provider == Provider::Alipay;
    let waits = pretend
        .world()
        .notices()
        .any(|notice| notice.id == notify_id && mine(notice.key.provider) && !notice.delivered);
    let made = || {
        let (head, tail) = notify_id.split_at_checked(18)?;
        let seconds = head.get(..10)?.parse().ok()?;
        (tail == mark(pretend, head)).then(|| Timestamp::from_seconds(seconds))
    };
    waits || made().is_some_and(|at| pretend.now().since(at) < RETURN_LIFE)
}

fn judge(pretend: &Pretend, request: &LegacyRequest) -> Result<(), Refusal> {
    let partner = request.partner()?;
    if partner != pretend.credentials.alipay.legacy_partner {
        return Err(Refusal::ILLEGAL_PARTNER);
    }
    if request.service().as_deref() == Some(notify_verify::SERVICE) {
        return Ok(());
    }
    request.check(&key(pretend))
}

/// What the traffic log says, whatever else was wrong with the request. The key is not in the
/// string that it shows.
fn verdict(pretend: &Pretend, request: &LegacyRequest) -> Verdict {
    if request.service().as_deref() == Some(notify_verify::SERVICE) {
        return Verdict::NotNeeded;
    }
    let Some(signature) = request.params.filled("sign") else {
        return Verdict::Missing { why: "there is no parameter sign".to_owned() };
    };
    let bytes = sign::string(&request.params);
    let holds = sign::verify(&key(pretend), &bytes, &signature);
    let string = request.params.charset().decode(&bytes).unwrap_or_default().into_owned();
    let why = "sign is not the MD5 of this string and the partner's key".to_owned();
    if holds { Verdict::Good { string } } else { Verdict::Bad { string, why } }
}

fn told(trade: &Trade) -> Option<TradeTold> {
    Some(TradeTold {
        out_trade_no: out_no(trade)?,
        trade_no: trade_no(trade)?,
        trade_status: TradeStatus::from_word(trade.alipay_status()?),
        total_fee: Fen(trade.order.amount),
        buyer_id: trade.payer.clone(),
        buyer_email: Some(BUYER_LOGON_ID.to_owned()),
        gmt_create: trade.created_at,
        gmt_payment: trade.paid_at,
    })
}
