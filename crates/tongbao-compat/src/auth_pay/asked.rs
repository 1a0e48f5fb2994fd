//! What callers of all routes send: who they are, which order, how much, in what words; checked as
//! `/v1` checks it.

use super::shape::Shape;
use crate::fields::Fields;
use crate::orders::{Failure, Object, id_of};
use crate::{Service, numbers};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::Response;
use tongbao_core::{ReplyKind, Scope};
use tongbao_engine::{BillDate, Error, Heard, NewCharge};
use tongbao_types::{
    AccountName, Amount, Channel, Code, Fen, MoneyError, OrderNo, OutTradeNo, Profile, Provider,
};
use tongbao_web::ClientAddress;

/// A request of somebody who may ask.
pub(super) struct Asked {
    /// Whose orders.
    pub(super) scope: Scope,
    /// At which account of the route's provider.
    pub(super) account: AccountName,
    /// What was sent.
    pub(super) fields: Fields,
}

/// `/v1` takes so long a subject.
const SUBJECT_CHARACTERS_MAX: usize = 127;
const BODY_CHARACTERS_MAX: usize = 1000;
/// Two random numbers of ten digits in the same second are hardly ever the same.
const NUMBERS_MAX: usize = 3;

/// A request at one of WeChat Pay's routes.
pub(super) struct AtWechat(pub(super) Asked);
/// A request at one of Alipay's.
pub(super) struct AtAlipay(pub(super) Asked);

impl FromRequest<Service> for AtWechat {
    type Rejection = Response;

    async fn from_request(request: Request, service: &Service) -> Result<AtWechat, Response> {
        Asked::read(request, service, Shape(Provider::Wechat)).await.map(AtWechat)
    }
}

impl FromRequest<Service> for AtAlipay {
    type Rejection = Response;

    async fn from_request(request: Request, service: &Service) -> Result<AtAlipay, Response> {
        Asked::read(request, service, Shape(Provider::Alipay)).await.map(AtAlipay)
    }
}

impl Asked {
    /// Admits the caller and reads the request; or gives the reply that says why not.
    async fn read(request: Request, service: &Service, shape: Shape) -> Result<Asked, Response> {
        let asked = Asked::admit(request, service, shape.0).await;
        asked.map_err(|error| shape.refuse(&error))
    }

    async fn admit(
        request: Request,
        service: &Service,
        provider: Provider,
    ) -> Result<Asked, Error> {
        let (mut parts, body) = request.into_parts();
        let Ok(client) = ClientAddress::from_request_parts(&mut parts, service).await;
        let scope = service.admit(&parts.headers, client).await?;
        let account = service.setup.account(scope.mode, provider).cloned();
        let account = account.ok_or_else(|| no_account(service, &scope, provider))?;
        let fields = Fields::of_request(Request::from_parts(parts, body)).await?;
        Ok(Asked { scope, account, fields })
    }

    /// Asks the provider how the order stands.
    pub(super) async fn query(&self, service: &Service) -> Result<Heard, Error> {
        let number = self.number()?;
        service.engine.query_by_number(&self.scope, &self.account, &number).await
    }

    /// Closes the order.
    pub(super) async fn close(&self, service: &Service) -> Result<Heard, Error> {
        let number = self.number()?;
        service.engine.close_by_number(&self.scope, &self.account, &number).await
    }

    /// Asks about the order's refunds.
    pub(super) async fn refunds(&self, service: &Service) -> Result<Heard, Error> {
        let number = self.number()?;
        service.engine.refunds_verbatim(&self.scope, &self.account, &number).await
    }

    /// The order's number.
    pub(super) fn number(&self) -> Result<OutTradeNo, Error> {
        let text = self.either("outTradeNo", "out_trade_no")?;
        OutTradeNo::new(text).map_err(|rule| wrong("outTradeNo", &rule.to_string()))
    }

    /// A field under its newer name, or under its older one.
    pub(super) fn either(&self, name: &'static str, older: &str) -> Result<&str, Error> {
        match self.fields.get(older) {
            Some(text) if self.fields.get(name).is_none() => Ok(text),
            _ => self.fields.need(name),
        }
    }

    /// `totalFee`: fen, as digits.
    pub(super) fn total_fee(&self) -> Result<Amount, Error> {
        let text = self.either("totalFee", "total_fee")?;
        let digits = text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
        let fen = text.parse().ok().filter(|_| digits).map(Fen);
        let fen = fen.ok_or_else(|| wrong("totalFee", "it is a whole number of fen, such as 1"))?;
        amount("totalFee", fen)
    }

    /// An amount in yuan.
    pub(super) fn yuan(&self, name: &'static str) -> Result<Amount, Error> {
        let text = self.fields.need(name)?;
        let fen = Fen::from_yuan(text).map_err(|error| wrong(name, &error.to_string()))?;
        amount(name, fen)
    }

    /// What the payer reads, cut where it is longer than a subject may be.
    pub(super) fn subject(&self, name: &'static str) -> Result<String, Error> {
        let text: String = self.fields.need(name)?.chars().take(SUBJECT_CHARACTERS_MAX).collect();
        if text.chars().all(is_shown) { Ok(text) } else { Err(wrong(name, NOT_SHOWN)) }
    }

    /// A longer text, of several lines perhaps, cut likewise.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, Error> {
        let Some(text) = self.fields.get(name) else { return Ok(None) };
        let text: String = text.chars().take(BODY_CHARACTERS_MAX).collect();
        let fits = |c| is_shown(c) || matches!(c, '\n' | '\r' | '\t');
        if text.chars().all(fits) { Ok(Some(text)) } else { Err(wrong(name, NOT_SHOWN)) }
    }

    /// `billDate`, in either provider's form.
    pub(super) fn bill_date(&self) -> Result<BillDate, Error> {
        let text = self.fields.need("billDate")?;
        let date = BillDate::read_compact(text).or_else(|| BillDate::read_dashed(text));
        date.ok_or_else(|| wrong("billDate", "it is a day, such as 20140603 or 2014-06-03"))
    }
}

/// A charge that was ordered.
pub(super) struct Ordered {
    /// Its number.
    pub(super) number: OrderNo,
    /// The charge, or why there is none to pay.
    pub(super) charge: Result<Object, Failure>,
    /// What the provider said to the order.
    pub(super) words: Option<Object>,
}

/// Makes a charge under a number of its own.
pub(super) async fn order(
    service: &Service,
    asked: &Asked,
    what: (Channel, Amount),
    (subject, body): (String, Option<String>),
) -> Result<Ordered, Error> {
    let (channel, amount) = what;
    let mut tries = 1;
    let (number, charge) = loop {
        let number = numbers::dated(&service.engine, 10);
        let new = NewCharge {
            order_no: Some(number.clone()),
            amount,
            subject: subject.clone(),
            body: body.clone(),
            attach: None,
            return_url: None,
            client_ip: None,
            payer: None,
            metadata: Vec::new(),
            profile: Some(Profile::AuthPay),
            channel: Some(channel),
            account: Some(asked.account.clone()),
            expires: None,
        };
        match service.make_charge(&asked.scope, new).await {
            Err(failure) if failure.is(Code::OrderNoInUse) && tries < NUMBERS_MAX => tries += 1,
            charge => break (number, charge),
        }
    };
    let made = service.charge_numbered(&asked.scope, number.as_str()).await?;
    let words = match made.as_ref().and_then(id_of) {
        Some(id) => service.words(&asked.scope, id, ReplyKind::Order).await?,
        None => None,
    };
    Ok(Ordered { number, charge, words })
}

/// What [`tongbao_types::Amount`] takes.
fn amount(name: &str, fen: Fen) -> Result<Amount, Error> {
    Amount::new(fen).map_err(|cause| {
        let code = match cause {
            MoneyError::TooSmall => Code::AmountTooSmall,
            MoneyError::TooLarge | MoneyError::Overflow => Code::AmountTooLarge,
            MoneyError::NotYuan => Code::InvalidParameter,
        };
        Error::new(code, format!("{name}: {cause}.")).param(name)
    })
}

const NOT_SHOWN: &str = "it has characters that cannot be shown";

/// WeChat's messages are XML, which cannot carry the others.
fn is_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

pub(super) fn wrong(name: &str, why: &str) -> Error {
    Error::new(Code::InvalidParameter, format!("{name}: {why}.")).param(name)
}

fn no_account(service: &Service, scope: &Scope, provider: Provider) -> Error {
    let message = format!(
        "The app {} has no {} account at {provider} that speaks the protocol of this profile.",
        service.setup.app, scope.mode
    );
    Error::new(Code::AccountMissing, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_types::{AppName, Mode};

    fn asked(form: &str) -> Asked {
        let app = AppName::new("shop").unwrap();
        let scope = Scope { app, mode: Mode::Test };
        let account = AccountName::new("a").unwrap();
        Asked { scope, account, fields: Fields::of_form(form).unwrap() }
    }

    #[test]
    fn fen_are_digits_and_yuan_are_decimal() {
        let fee = |text: &str| asked(text).total_fee().map(|amount| amount.fen().0);
        assert_eq!(fee("totalFee=1").ok(), Some(1));
        assert_eq!(fee("total_fee=1200").ok(), Some(1200));
        assert_eq!(fee("totalFee=7&total_fee=8").ok(), Some(7));
        for text in ["", "totalFee=0", "totalFee=-1", "totalFee=1.5", "totalFee=1e2"] {
            assert!(fee(text).is_err(), "{text}");
        }
        assert!(fee("totalFee=10000000001").is_err());
        assert!(fee("totalFee=9999999999999999999999").is_err());
        let yuan = |text: &str| asked(text).yuan("totalAmount").map(|amount| amount.fen().0);
        assert_eq!(yuan("totalAmount=0.03").ok(), Some(3));
        assert_eq!(yuan("totalAmount=19.9").ok(), Some(1990));
        for text in ["totalAmount='0.01'", "totalAmount=0.001", "totalAmount=0"] {
            assert!(yuan(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_a_strange_one_refused() {
        let long = format!("body={}", "a".repeat(200));
        assert_eq!(asked(&long).subject("body").map(|text| text.len()).ok(), Some(127));
        assert!(asked("body=a%0Ab").subject("body").is_err());
        assert!(asked("body=a%0Ab").text("body").is_ok());
        assert!(asked("body=a%00b").text("body").is_err());
        assert!(asked("body=").subject("body").is_err());
    }

    #[test]
    fn a_day_comes_in_either_form() {
        let date = |text: &str| asked(text).bill_date().map(|date| date.to_string()).ok();
        assert_eq!(date("billDate=20140603").as_deref(), Some("2014-06-03"));
        assert_eq!(date("billDate=2016-04-05").as_deref(), Some("2016-04-05"));
        assert_eq!(date("billDate=20140631"), None);
        assert_eq!(date("billDate=2016-04"), None);
    }
}
