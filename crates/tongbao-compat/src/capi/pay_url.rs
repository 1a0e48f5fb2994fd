//! Where a payer goes to pay a charge: `fetch_pay_url`, and the page of test charges.
//!
//! | | live | test (`livemode: false`) |
//! | --- | --- | --- |
//! | `ALIPAY`, current account | page.pay; wap.pay on a phone | our own address, which pays |
//! | `ALIPAY`, legacy account | `create_direct_pay_by_user` | our own address, which pays |
//! | `WECHAT` | the cashier, with WeChat's code | our own address, which pays |
//!
//! Our own address bears the charge's client secret, so that nobody pays who was not given it.

use super::not_found;
use super::refusal::Refusal;
use super::request::{By, Source, Wanted};
use crate::Service;
use crate::fields::Fields;
use crate::orders::Object;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, StatusCode, Uri};
use tongbao_core::Scope;
use tongbao_engine::{ChargeView, Error, NewAttempt};
use tongbao_types::{AccountName, Channel, ChargeId, Code, Mode, Provider};

/// An order to be placed.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    channel: Channel,
    /// `None`: the first that serves the channel.
    account: Option<AccountName>,
}

impl Service {
    /// Refuses a charge that could never be paid.
    pub(super) fn check_accounts(&self, scope: &Scope, wanted: &Wanted) -> Result<(), Error> {
        let way = |by| self.way(scope, by, wanted.source).map(drop);
        match wanted.channel {
            Some(by) => way(by),
            None => way(By::Alipay).or_else(|error| way(By::Wechat).map_err(|_| error)),
        }
    }

    /// The pay address of a charge, through whom `channel` says, else its own `channel`.
    pub(super) async fn pay_url(
        &self,
        scope: &Scope,
        view: &ChargeView,
        channel: Option<&str>,
    ) -> Result<String, Refusal> {
        let by = self.by(view, channel)?;
        let (way, shown) = self.order(scope, view, by).await?;
        if scope.mode == Mode::Test {
            let secret = view.client_secret.as_deref().unwrap_or_default();
            let (base, id) = (self.engine.public_url(), &view.order_no);
            let query = format!("channel={}&client_secret={secret}", by.as_str());
            return Ok(format!("{base}/capi/api/v1/charge/{id}/pay?{query}"));
        }
        let page = shown.get("action").filter(|action| action["type"] == "redirect");
        let page = page.and_then(|action| action["url"].as_str()).map(str::to_owned);
        let cashier = || format!("{}?channel={}", view.cashier_url, way.channel);
        Ok(page.unwrap_or_else(cashier))
    }

    fn by(&self, view: &ChargeView, channel: Option<&str>) -> Result<By, Error> {
        let own = || view.metadata.get("channel").map(String::as_str);
        let Some(word) = channel.or_else(own) else {
            let message = "Name a channel, ALIPAY or WECHAT: this charge was made without one.";
            return Err(Error::new(Code::MissingParameter, message).param("channel"));
        };
        By::read(word)
    }

    /// Places the order, or finds the one that waits already.
    async fn order(
        &self,
        scope: &Scope,
        view: &ChargeView,
        by: By,
    ) -> Result<(Way, Object), Refusal> {
        let source = view.metadata.get("source").map(String::as_str);
        let source = source.map_or(Ok(Source::Pc), Source::read)?;
        let way = self.way(scope, by, source)?;
        let new = NewAttempt {
            charge: id(view)?,
            channel: way.channel,
            account: way.account.clone(),
            payer: None,
            client_ip: None,
        };
        let shown = self.add_attempt(scope, new).await?;
        Ok((way, shown))
    }

    fn way(&self, scope: &Scope, by: By, source: Source) -> Result<Way, Error> {
        let served = self.engine.channels(scope).data;
        let accounts = |channel: Channel| -> Vec<String> {
            let view = served.iter().find(|view| view.channel == channel.as_str());
            view.map_or_else(Vec::new, |view| view.accounts.clone())
        };
        let setup = &self.setup;
        let found = match by {
            By::Wechat => {
                let account = setup.account(scope.mode, Provider::Wechat).cloned();
                let channel = Channel::WechatNative;
                (!accounts(channel).is_empty()).then_some(Way { channel, account })
            }
            By::Alipay => alipay(source, setup.alipay_account.as_ref(), accounts),
        };
        found.ok_or_else(|| {
            let Scope { app, mode } = scope;
            let message = format!(
                "The app {app} has no {mode} account for {}, so nobody could pay this.",
                by.as_str()
            );
            Error::new(Code::AccountMissing, message).param("channel")
        })
    }
}

/// The account that was chosen, if it is one of this mode; else a current one before a legacy one.
fn alipay(
    source: Source,
    chosen: Option<&AccountName>,
    accounts: impl Fn(Channel) -> Vec<String>,
) -> Option<Way> {
    let current = match source {
        Source::Pc => Channel::AlipayPage,
        Source::Phone => Channel::AlipayWap,
    };
    let kinds = [current, Channel::AlipayLegacyPage];
    let of_chosen = chosen.and_then(|name| {
        let has = |channel: &Channel| accounts(*channel).iter().any(|one| one == name.as_str());
        let channel = kinds.into_iter().find(has)?;
        Some(Way { channel, account: Some(name.clone()) })
    });
    let usual = || kinds.into_iter().find(|channel| !accounts(*channel).is_empty());
    of_chosen.or_else(|| usual().map(|channel| Way { channel, account: None }))
}

/// The pay address of a test charge: visiting it pays, and the browser goes on to `return_url`, or
/// to the cashier, which shows how things stand.
pub(super) async fn pay(
    State(service): State<Service>,
    Path(number): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let fields = Fields::of_form(uri.query().unwrap_or(""))?;
    let secret = fields.get("client_secret").ok_or_else(not_found)?;
    let scope = Scope { app: service.setup.app.clone(), mode: Mode::Test };
    let view = service.numbered(&scope, &number).await?.ok_or_else(not_found)?;
    // Without its secret a charge is not there, in the very same words.
    let known = service.engine.charge_for_client(id(&view)?, secret).await;
    let view = known.map_err(|error| match error.code {
        Code::NotFound => not_found(),
        _ => error,
    })?;
    let is_paid = match view.status {
        "succeeded" => true,
        "pending" => match service.play(&scope, &view, fields.get("channel")).await {
            Ok(()) => true,
            Err(refusal) if refusal.is(Code::ChargeNotPending) => false,
            Err(refusal) => return Err(refusal),
        },
        _ => false,
    };
    let shop = view.return_url.as_deref().filter(|_| is_paid);
    Ok(see_other(shop.unwrap_or(&view.cashier_url)))
}

impl Service {
    /// Lets the sandbox's payer pay; the rest is as in life.
    async fn play(
        &self,
        scope: &Scope,
        view: &ChargeView,
        channel: Option<&str>,
    ) -> Result<(), Refusal> {
        let by = self.by(view, channel)?;
        let (way, _) = self.order(scope, view, by).await?;
        Ok(self.engine.pay_in_sandbox(scope, id(view)?, way.channel).await?)
    }
}

fn see_other(address: &str) -> Response {
    let location = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static("/"));
    let headers = [(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn id(view: &ChargeView) -> Result<ChargeId, Error> {
    view.id.parse().map_err(|_| not_found())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: Source, chosen: Option<&str>, wanted: Option<(Channel, Option<&str>)>) {
        check_among(&["open", "old"], (source, chosen), wanted);
    }

    fn check_among(
        there: &[&str],
        (source, chosen): (Source, Option<&str>),
        wanted: Option<(Channel, Option<&str>)>,
    ) {
        let name = |text: &str| AccountName::new(text.to_owned()).unwrap();
        let accounts = |channel: Channel| {
            let mine = if channel == Channel::AlipayLegacyPage { "old" } else { "open" };
            there.iter().filter(|one| **one == mine).map(|one| (*one).to_owned()).collect()
        };
        let found = alipay(source, chosen.map(name).as_ref(), accounts);
        let wanted = wanted.map(|(channel, account)| Way { channel, account: account.map(name) });
        assert_eq!(found, wanted, "{there:?} {source:?} {chosen:?}");
    }

    #[test]
    fn a_current_account_comes_first_unless_another_is_chosen() {
        let (page, wap, old) = (Channel::AlipayPage, Channel::AlipayWap, Channel::AlipayLegacyPage);
        check(Source::Pc, None, Some((page, None)));
        check(Source::Phone, None, Some((wap, None)));
        check(Source::Phone, Some("old"), Some((old, Some("old"))));
        check(Source::Pc, Some("open"), Some((page, Some("open"))));
        check(Source::Pc, Some("of_the_other_mode"), Some((page, None)));
        check_among(&["old"], (Source::Phone, None), Some((old, None)));
        check_among(&[], (Source::Pc, Some("old")), None);
    }
}
