//! The two forms on the wire that Alipay has for the same operations: OpenAPI 2.0 (`gateway.do`)
//! and v3 (JSON under paths of their own).

use crate::Stamp;
use tongbao_alipay::open::bill_download_url::{BillDownloadUrl, BillDownloadUrlReply};
use tongbao_alipay::open::cancel::{Cancel, CancelReply};
use tongbao_alipay::open::close::{Close, CloseReply};
use tongbao_alipay::open::create::{Create, CreateReply};
use tongbao_alipay::open::pay::{Pay, PayReply};
use tongbao_alipay::open::precreate::{Precreate, PrecreateReply};
use tongbao_alipay::open::query::{Query, QueryReply};
use tongbao_alipay::open::refund::{Refund, RefundReply};
use tongbao_alipay::open::refund_query::{RefundQuery, RefundQueryReply};
use tongbao_alipay::{Answer, Credentials, ReplyError, open, v3};
use tongbao_types::{HttpRequest, HttpResponse, Timestamp};

/// Which form an account speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Open,
    V3,
}

/// What can be asked of Alipay in both forms.
pub(crate) trait Operation: Send + Sync + 'static {
    type Reply;

    /// The call, signed. Alipay sends news of the order to `notify_url`.
    fn request(
        &self,
        protocol: Protocol,
        credentials: &Credentials,
        stamp: &Stamp,
        notify_url: Option<String>,
    ) -> HttpRequest;

    /// Reads what came back.
    fn answer(
        &self,
        protocol: Protocol,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<Self::Reply>, ReplyError>;
}

macro_rules! operations {
    ($($operation:ty => $reply:ty,)*) => {$(
        impl Operation for $operation {
            type Reply = $reply;

            fn request(
                &self,
                protocol: Protocol,
                credentials: &Credentials,
                stamp: &Stamp,
                notify_url: Option<String>,
            ) -> HttpRequest {
                match protocol {
                    Protocol::Open => {
                        let call = open::CallContext::at(stamp.wall);
                        self.encode(credentials, &open::CallContext { notify_url, ..call })
                    }
                    Protocol::V3 => {
                        let call = v3::CallContext::at(stamp.wall, &*stamp.nonce);
                        self.encode_v3(credentials, &v3::CallContext { notify_url, ..call })
                    }
                }
            }

            fn answer(
                &self,
                protocol: Protocol,
                credentials: &Credentials,
                response: &HttpResponse,
                now: Timestamp,
            ) -> Result<Answer<$reply>, ReplyError> {
                match protocol {
                    Protocol::Open => self.decode(credentials, response),
                    Protocol::V3 => self.decode_v3(credentials, response, now),
                }
            }
        }
    )*};
}

operations! {
    Precreate => PrecreateReply,
    Create => CreateReply,
    Pay => PayReply,
    Query => QueryReply,
    Close => CloseReply,
    Cancel => CancelReply,
    Refund => RefundReply,
    RefundQuery => RefundQueryReply,
    BillDownloadUrl => BillDownloadUrlReply,
}
