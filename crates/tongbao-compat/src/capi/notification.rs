//! How an app is told of a payment: the charge goes to the `notify_url` that it was made with, and
//! to the app's `payment` function, until each answers `SUCCESS`.
//!
//! The function gets `{charge: {…}}`. The older service carried the charge as a JSON text and its
//! runtime read it before the function ran; there is no such runtime here, and a function that
//! reads `charge['trade_no']` needs the object.

use super::charge::{Told, minute, moment};
use super::request::note;
use crate::ProfileSetup;
use serde_json::{Value, json};
use tongbao_core::{Callback, Charge, Loaded, ProviderReply};
use tongbao_engine::CallbackRequest;
use tongbao_types::HttpResponse;

/// Whom a payment is told to.
pub(crate) fn callbacks(setup: &ProfileSetup, charge: &Charge) -> Vec<Callback> {
    let notify = note(&charge.metadata, "notify_url").map(|_| Callback::CapiNotify);
    let function = setup.payment_function_url.as_ref().map(|_| Callback::CapiFunction);
    notify.into_iter().chain(function).collect()
}

/// What goes to `notify_url`.
pub(crate) fn notification(
    loaded: &Loaded,
    replies: &[ProviderReply],
) -> Result<CallbackRequest, String> {
    let url = note(&loaded.charge.metadata, "notify_url");
    let url = url.ok_or("the charge has no notify_url")?.to_owned();
    let told = Value::from(Told::of_loaded(loaded, replies).object(minute));
    Ok(CallbackRequest { url, body: told.to_string() })
}

/// What goes to the `payment` function.
pub(crate) fn function_call(
    setup: &ProfileSetup,
    loaded: &Loaded,
    replies: &[ProviderReply],
) -> Result<CallbackRequest, String> {
    let url = setup.payment_function_url.clone();
    let url = url.ok_or("payment_function_url is no longer configured")?;
    let told = Told::of_loaded(loaded, replies).object(moment);
    Ok(CallbackRequest { url, body: json!({"charge": told}).to_string() })
}

/// Whether an answer accepts: it is well, and says `SUCCESS` and nothing else. A line break at the
/// end, which many frameworks add, does no harm.
pub(crate) fn is_success(answer: &HttpResponse) -> bool {
    (200..300).contains(&answer.status) && answer.body.trim_ascii() == b"SUCCESS"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_success_accepts() {
        let check = |status: u16, body: &'static str, wanted: bool| {
            let answer = HttpResponse::new(status, "text/plain", body);
            assert_eq!(is_success(&answer), wanted, "{status} {body:?}");
        };
        check(200, "SUCCESS", true);
        check(200, "SUCCESS\n", true);
        check(201, " SUCCESS\r\n", true);
        for no in ["success", "\"SUCCESS\"", "SUCCESS.", "SUCCESSFUL", "FAIELD", "FAIL", "", "ok"] {
            check(200, no, false);
        }
        check(500, "SUCCESS", false);
        check(302, "SUCCESS", false);
        check(404, "", false);
    }
}
