//! capi: charges over Alipay for hosted apps. A charge is made first, and where the payer goes to
//! pay it is fetched afterwards.
//!
//! | route | takes | gives |
//! | --- | --- | --- |
//! | POST `/capi/api/v1/charge` | `subject`, `amount` in fen, more in `request.rs` | a Charge |
//! | GET `…/charge/{id}` | | the Charge |
//! | POST `…/charge/{id}/fetch_pay_url` | `channel`: `ALIPAY` or `WECHAT` | `{pay_url}` |
//! | GET `…/charge/{id}/pay` | the `pay_url` of a test charge | pays, and goes to `return_url` |
//!
//! An `id` is a number: the digits of the charge's `order_no`. Whoever paid is told to `notify_url`
//! and to the app's `payment` function (`notification.rs`). A refusal is `{error: {code,
//! message}}`.
//!
//! `livemode` comes with each charge: `false` is a test charge, of which visiting the pay address
//! is enough. A key makes charges of its own mode alone; a caller named by `allow_from` either.

mod charge;
mod notification;
mod pay_url;
mod refusal;
mod request;

pub(crate) use notification::{callbacks, function_call, is_success, notification};

use crate::fields::Fields;
use crate::orders::{Failure, Object, id_of};
use crate::{Routes, Service, answer, both, numbers};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use pay_url::pay;
use refusal::Refusal;
use request::{Wanted, note};
use serde_json::json;
use tongbao_core::Scope;
use tongbao_engine::{ChargeFilter, ChargeView, Error, NewCharge, Page};
use tongbao_types::{Code, Mode, OrderNo, Profile};
use tongbao_web::ClientAddress;

pub(crate) fn routes() -> Routes {
    let all = [
        ("/capi/api/v1/charge", post(create)),
        ("/capi/api/v1/charge/{id}", get(read)),
        ("/capi/api/v1/charge/{id}/fetch_pay_url", post(fetch_pay_url)),
        // Without a handler of its own, asking for the headers alone would pay.
        ("/capi/api/v1/charge/{id}/pay", get(pay).head(answer::only_get)),
    ];
    all.into_iter().fold(Routes::default(), |routes, (path, methods)| both(routes, path, methods))
}

async fn create(
    State(service): State<Service>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let caller = Caller::admit(&service, &headers, address).await?;
    let wanted = Wanted::read(&Fields::of_body(&headers, body).await?)?;
    if let Some(url) = note(&wanted.new.metadata, "notify_url") {
        let checked = service.engine.check_address(url).await;
        checked.map_err(|error| error.param("notify_url"))?;
    }
    let scope = caller.scope_of(wanted.livemode)?;
    service.check_accounts(&scope, &wanted)?;
    let made = service.make_numbered(&scope, wanted.new).await?;
    let id = id_of(&made).ok_or_else(|| Error::new(Code::Internal, "The charge has no id."))?;
    let view = service.engine.charge(&scope, id).await?;
    service.show(&scope, &view).await
}

async fn read(
    State(service): State<Service>,
    Path(id): Path<String>,
    address: ClientAddress,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let caller = Caller::admit(&service, &headers, address).await?;
    let (scope, view) = service.find(&caller, &id).await?;
    service.show(&scope, &view).await
}

async fn fetch_pay_url(
    State(service): State<Service>,
    Path(id): Path<String>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let caller = Caller::admit(&service, &headers, address).await?;
    let fields = Fields::of_body(&headers, body).await?;
    let (scope, view) = service.find(&caller, &id).await?;
    let pay_url = service.pay_url(&scope, &view, fields.get("channel")).await?;
    Ok(answer::json(StatusCode::OK, &json!({"pay_url": pay_url})))
}

/// Who asks, and so for which charges.
struct Caller {
    scope: Scope,
    /// A key is of one mode; the configuration's `livemode` is only what is usual.
    by_key: bool,
}

impl Caller {
    async fn admit(
        service: &Service,
        headers: &HeaderMap,
        address: ClientAddress,
    ) -> Result<Caller, Error> {
        let scope = service.admit(headers, address).await?;
        Ok(Caller { scope, by_key: headers.contains_key(AUTHORIZATION) })
    }

    /// Where a charge with this `livemode` belongs.
    fn scope_of(&self, livemode: Option<bool>) -> Result<Scope, Error> {
        let own = &self.scope;
        let Some(livemode) = livemode else { return Ok(own.clone()) };
        if self.by_key && livemode != own.mode.is_live() {
            let message =
                format!("livemode is {livemode}, but this key makes {} charges alone.", own.mode);
            return Err(Error::new(Code::InvalidParameter, message).param("livemode"));
        }
        let mode = if livemode { Mode::Live } else { Mode::Test };
        Ok(Scope { app: own.app.clone(), mode })
    }

    fn scopes(&self) -> Vec<Scope> {
        let other = [Mode::Live, Mode::Test].into_iter().filter(|mode| *mode != self.scope.mode);
        let other = other.map(|mode| Scope { app: self.scope.app.clone(), mode });
        let others = other.filter(|_| !self.by_key);
        std::iter::once(self.scope.clone()).chain(others).collect()
    }
}

impl Service {
    /// The charge of a number that this profile gave out.
    async fn find(&self, caller: &Caller, id: &str) -> Result<(Scope, ChargeView), Error> {
        for scope in caller.scopes() {
            if let Some(view) = self.numbered(&scope, id).await? {
                return Ok((scope, view));
            }
        }
        Err(not_found())
    }

    async fn numbered(&self, scope: &Scope, id: &str) -> Result<Option<ChargeView>, Error> {
        let Ok(order_no) = OrderNo::new(id) else { return Ok(None) };
        let filter = ChargeFilter { order_no: Some(order_no), ..ChargeFilter::default() };
        let page = Page { limit: 1, starting_after: None, ending_before: None };
        let found = self.engine.charges(scope, &filter, page).await?.data.into_iter().next();
        Ok(found.filter(|view| view.profile == Some(Profile::Capi.as_str())))
    }

    /// Makes a charge under a number that no other one has, in the other mode neither: a caller
    /// without a key names a charge by its number alone.
    async fn make_numbered(&self, scope: &Scope, new: NewCharge) -> Result<Object, Failure> {
        let mode = if scope.mode.is_live() { Mode::Test } else { Mode::Live };
        let other = Scope { app: scope.app.clone(), mode };
        let draws = std::iter::repeat_with(|| numbers::counted(&self.engine)).take(DRAWS_MAX);
        let (other, new) = (&other, &new);
        first_free(draws, |number| async move {
            if self.numbered(other, number.as_str()).await?.is_some() {
                return Err(Error::new(Code::OrderNoInUse, "The other mode has it.").into());
            }
            self.make_charge(scope, NewCharge { order_no: Some(number), ..new.clone() }).await
        })
        .await
    }

    async fn show(&self, scope: &Scope, view: &ChargeView) -> Result<Response, Refusal> {
        let id = view.id.parse().map_err(|_| not_found())?;
        let replies = self.engine.provider_replies(scope, id).await?;
        let shown = charge::object(view, &replies, self.engine.public_url());
        Ok(answer::json(StatusCode::OK, &shown.into()).into_response())
    }
}

/// More would say that the numbers are not random.
const DRAWS_MAX: usize = 8;

/// Makes something under the first of these numbers that is not in use.
async fn first_free<T, Made: Future<Output = Result<T, Failure>>>(
    numbers: impl Iterator<Item = OrderNo>,
    make: impl Fn(OrderNo) -> Made,
) -> Result<T, Failure> {
    for number in numbers {
        match make(number).await {
            Err(failure) if failure.is(Code::OrderNoInUse) => {}
            made => return made,
        }
    }
    Err(Error::new(Code::Conflict, "No free number was found for this charge. Try again.").into())
}

fn not_found() -> Error {
    Error::new(Code::NotFound, "There is no such charge, or you may not see it.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tongbao_types::AppName;

    fn caller(mode: Mode, by_key: bool) -> Caller {
        Caller { scope: Scope { app: AppName::new("shop").unwrap(), mode }, by_key }
    }

    #[test]
    fn a_key_makes_charges_of_its_own_mode_alone() {
        let mode = |caller: &Caller, livemode| {
            caller.scope_of(livemode).map(|scope| scope.mode).map_err(|error| error.code)
        };
        let wrong = Err(Code::InvalidParameter);
        let (test, live) = (caller(Mode::Test, true), caller(Mode::Live, true));
        assert_eq!(mode(&test, None), Ok(Mode::Test));
        assert_eq!(mode(&test, Some(false)), Ok(Mode::Test));
        assert_eq!(mode(&test, Some(true)), wrong);
        assert_eq!(mode(&live, Some(true)), Ok(Mode::Live));
        assert_eq!(mode(&live, Some(false)), wrong);
        assert_eq!(test.scopes().len(), 1);
        let named = caller(Mode::Live, false);
        assert_eq!(mode(&named, None), Ok(Mode::Live));
        assert_eq!(mode(&named, Some(false)), Ok(Mode::Test));
        assert_eq!(named.scopes().len(), 2);
    }

    #[tokio::test]
    async fn a_number_in_use_is_drawn_again() {
        let numbers =
            |count: usize| (0..count).map(|n| OrderNo::new(format!("150658495585{n:04}")).unwrap());
        let taken = || Error::new(Code::OrderNoInUse, "taken").into();
        let made = first_free(numbers(8), |number| async move {
            if number.as_str().ends_with('2') { Ok(number) } else { Err(taken()) }
        });
        assert_eq!(made.await.unwrap().as_str(), "1506584955850002");
        let n_tries = &Cell::new(0);
        let none = first_free(numbers(8), |_| async move {
            n_tries.set(n_tries.get() + 1);
            Err::<(), _>(taken())
        });
        assert!(none.await.unwrap_err().is(Code::Conflict));
        assert_eq!(n_tries.get(), 8);
        let gone = |_| async { Err::<(), _>(Error::new(Code::Unavailable, "gone").into()) };
        assert!(first_free(numbers(8), gone).await.unwrap_err().is(Code::Unavailable));
    }
}
