//! The sandbox's payer: a test charge is paid without money, by asking the provider sandbox that
//! its account points at to play the payer (`POST /_sandbox/pay`).
//!
//! Nothing is concluded here. The sandbox then tells of the payment as a provider does.

use crate::accounts::Entry;
use crate::{Engine, Error};
use serde::Deserialize;
use tongbao_core::{Action, Scope};
use tongbao_types::{Channel, ChargeId, Code, HttpRequest, HttpResponse, Method, OutTradeNo};

/// What a sandbox says; nothing of it is certain, since the address may be somebody else's.
#[derive(Deserialize)]
struct Played {
    out_trade_no: Option<String>,
    code: Option<String>,
    message: Option<String>,
}

impl Engine {
    /// Lets the sandbox's payer pay the order that a test charge has in this channel. An order that
    /// is paid already is no error.
    ///
    /// Fails with [`Code::ChannelUnavailable`] for live charges and where there is no such order or
    /// no sandbox, with [`Code::ProviderRefused`] if the payer could not pay, and with
    /// [`Code::ProviderUnknown`] if the sandbox does not answer.
    pub async fn pay_in_sandbox(
        &self,
        scope: &Scope,
        charge: ChargeId,
        channel: Channel,
    ) -> Result<(), Error> {
        if scope.mode.is_live() {
            let message = "A live charge is paid with money, never by the sandbox's payer.";
            return Err(Error::new(Code::ChannelUnavailable, message));
        }
        let loaded = self.own_charge(scope, charge).await?;
        let mut orders = loaded.attempts.iter().rev().filter(|one| one.channel == channel);
        let order = orders.find_map(|one| Some((one, code(one.action.as_ref()?)?)));
        let Some((order, code)) = order else {
            let message = format!("The charge has no order of {channel} that could be paid.");
            return Err(Error::new(Code::ChannelUnavailable, message));
        };
        let account = self.account_of(order)?;
        let answer = self.ask_to_pay(&account, code).await?;
        judge(&answer, &order.out_trade_no, account.adapter.endpoint())
    }

    async fn ask_to_pay(&self, account: &Entry, code: &str) -> Result<HttpResponse, Error> {
        let body = serde_json::json!({"code": code}).to_string();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = HttpRequest {
            method: Method::Post,
            target: "/_sandbox/pay".to_owned(),
            headers: vec![header("content-type", "application/json")],
            body: body.into(),
        };
        self.wire().send(self.outgoing(account, request)).await.map_err(|error| {
            let endpoint = account.adapter.endpoint();
            let message = format!("The sandbox at {endpoint} gives no answer: {error}.");
            Error::new(Code::ProviderUnknown, message)
        })
    }
}

/// What the payer would scan or open.
fn code(action: &Action) -> Option<&str> {
    match action {
        Action::QrCode { code_url } => Some(code_url),
        Action::Redirect { url } => Some(url),
        Action::Form { .. } | Action::Jsapi { .. } | Action::App { .. } => None,
    }
}

/// An answer counts as the payment only if it names the order.
fn judge(answer: &HttpResponse, order: &OutTradeNo, endpoint: &str) -> Result<(), Error> {
    let played: Option<Played> = serde_json::from_slice(&answer.body).ok();
    match played {
        Some(Played { out_trade_no: Some(number), .. })
            if answer.status == 200 && number == order.as_str() =>
        {
            Ok(())
        }
        Some(Played { code: Some(code), .. }) if code == "already_paid" => Ok(()),
        Some(Played { code: Some(code), message: Some(message), .. }) => {
            let text = format!("The sandbox's payer could not pay: {message} ({code}).");
            Err(Error::new(Code::ProviderRefused, text))
        }
        _ => {
            let text = format!(
                "There is no provider sandbox at {endpoint}: it answered {} to /_sandbox/pay. \
                 Point the endpoint of the test account at one, such as `tongbao sandbox`.",
                answer.status
            );
            Err(Error::new(Code::ChannelUnavailable, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, wanted: Result<(), Code>) {
        let answer = HttpResponse::new(status, "application/json", body.to_owned());
        let order = OutTradeNo::new("1506584955850261").unwrap();
        let judged = judge(&answer, &order, "http://127.0.0.1:9010");
        assert_eq!(judged.map_err(|error| error.code), wanted, "{status} {body}");
    }

    #[test]
    fn only_a_sandbox_that_names_the_order_has_paid_it() {
        let paid = r#"{"out_trade_no": "1506584955850261", "state": "SUCCESS"}"#;
        check(200, paid, Ok(()));
        check(409, r#"{"code": "already_paid", "message": "the order is paid already"}"#, Ok(()));
        let closed = r#"{"code": "closed", "message": "the order is closed"}"#;
        check(409, closed, Err(Code::ProviderRefused));
        check(404, paid, Err(Code::ChannelUnavailable));
        check(200, r#"{"out_trade_no": "another"}"#, Err(Code::ChannelUnavailable));
        check(200, "{}", Err(Code::ChannelUnavailable));
        check(404, "<html>nginx</html>", Err(Code::ChannelUnavailable));
        check(302, "", Err(Code::ChannelUnavailable));
    }
}
