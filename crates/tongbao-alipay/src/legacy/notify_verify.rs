//! `service=notify_verify`: asks the old gateway whether a notification is its own. Alipay,
//! 验证是否是支付宝发来的通知.
//!
//! A notification's id is good until it was answered with `success`, so ask first and answer then;
//! a return's is good for a minute. Neither question nor answer is signed: only the connection to
//! the gateway makes the answer worth anything.

use super::PATH;
use super::account::Credentials;
use crate::error::ReplyError;
use crate::{Charset, Params};
use bytes::Bytes;
use tongbao_types::{HttpRequest, HttpResponse, Method};

/// The service's name.
pub const SERVICE: &str = "notify_verify";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyVerify {
    /// `notify_id` of the message.
    pub notify_id: String,
}

/// What the gateway says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `true`: it sent the message, and waits for its answer.
    True,
    /// `false`: it did not, or the id is over.
    False,
    /// `invalid`: the question was malformed.
    Invalid,
}

impl Verdict {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::True => "true",
            Verdict::False => "false",
            Verdict::Invalid => "invalid",
        }
    }
}

impl NotifyVerify {
    /// The call.
    pub fn encode(&self, credentials: &Credentials) -> HttpRequest {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("service", SERVICE);
        query.append_pair("partner", credentials.partner());
        query.append_pair("notify_id", &self.notify_id);
        HttpRequest {
            method: Method::Get,
            target: format!("{PATH}?{}", query.finish()),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Reads what came back: one of three words and nothing else.
    pub fn decode(response: &HttpResponse) -> Result<Verdict, ReplyError> {
        if response.status != 200 {
            return Err(ReplyError::HttpStatus(response.status));
        }
        [Verdict::True, Verdict::False, Verdict::Invalid]
            .into_iter()
            .find(|verdict| response.body.trim_ascii() == verdict.as_str().as_bytes())
            .ok_or(ReplyError::Malformed(SERVICE))
    }

    /// The gateway's side; `None` is answered with [`Verdict::Invalid`].
    pub fn read(params: &Params) -> Option<NotifyVerify> {
        params.filled("partner")?;
        let notify_id = params.filled("notify_id")?.into_owned();
        Some(NotifyVerify { notify_id })
    }

    /// The gateway's side: the reply.
    pub fn answer(verdict: Verdict) -> HttpResponse {
        let content_type = format!("text/html;charset={}", Charset::Gbk.name());
        HttpResponse::new(200, &content_type, verdict.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legacy::LegacyRequest;

    #[test]
    fn question_and_answer_pass_between_both_ends() {
        let key = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6";
        let merchant = Credentials::new("2088000000000001", key, None).unwrap();
        let call = NotifyVerify { notify_id: "70fec0c2730b27528665af4517c27b95+&".into() };
        let request = call.encode(&merchant);
        assert_eq!(
            request.target,
            "/gateway.do?service=notify_verify&partner=2088000000000001&\
             notify_id=70fec0c2730b27528665af4517c27b95%2B%26"
        );
        let received = LegacyRequest::read(&request).unwrap();
        assert_eq!(received.service().as_deref(), Some(SERVICE));
        assert_eq!(NotifyVerify::read(&received.params), Some(call));
        for verdict in [Verdict::True, Verdict::False, Verdict::Invalid] {
            let response = NotifyVerify::answer(verdict);
            assert_eq!(NotifyVerify::decode(&response), Ok(verdict));
        }
    }

    #[test]
    fn nothing_but_the_three_words_counts() {
        for body in ["", "TRUE", "true false", "<html>true</html>", "truetrue"] {
            let response = HttpResponse::new(200, "text/html", body.to_owned());
            let wanted = Err(ReplyError::Malformed(SERVICE));
            assert_eq!(NotifyVerify::decode(&response), wanted, "{body}");
        }
        let response = HttpResponse::new(200, "text/html", "true\n");
        assert_eq!(NotifyVerify::decode(&response), Ok(Verdict::True));
        let response = HttpResponse::new(502, "text/html", "true");
        assert_eq!(NotifyVerify::decode(&response), Err(ReplyError::HttpStatus(502)));
        let empty = Params::read(b"service=notify_verify&partner=1").unwrap();
        assert_eq!(NotifyVerify::read(&empty), None);
    }
}
