//! What an operation answers, before a protocol writes it.

use tongbao_alipay::open::bill_download_url::BillDownloadUrlReply;
use tongbao_alipay::open::cancel::CancelReply;
use tongbao_alipay::open::cert_download;
use tongbao_alipay::open::close::CloseReply;
use tongbao_alipay::open::create::CreateReply;
use tongbao_alipay::open::gateway::{GatewayRequest, Sealing};
use tongbao_alipay::open::pay::PayReply;
use tongbao_alipay::open::precreate::PrecreateReply;
use tongbao_alipay::open::query::QueryReply;
use tongbao_alipay::open::refund::RefundReply;
use tongbao_alipay::open::refund_query::RefundQueryReply;
use tongbao_alipay::v3;
use tongbao_types::HttpResponse;

/// A reply that is no refusal.
pub(super) enum Reply {
    Precreate(PrecreateReply),
    Create(CreateReply),
    Pay(Box<PayReply>),
    Query(Box<QueryReply>),
    Close(CloseReply),
    Cancel(CancelReply),
    Refund(Box<RefundReply>),
    RefundQuery(RefundQueryReply),
    Bill(BillDownloadUrlReply),
    /// PEM.
    Certificate(String),
}

impl Reply {
    /// In OpenAPI 2.0.
    pub(super) fn encode(&self, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
        match self {
            Reply::Precreate(reply) => reply.encode(request, sealing),
            Reply::Create(reply) => reply.encode(request, sealing),
            Reply::Pay(reply) => reply.encode(request, sealing),
            Reply::Query(reply) => reply.encode(request, sealing),
            Reply::Close(reply) => reply.encode(request, sealing),
            Reply::Cancel(reply) => reply.encode(request, sealing),
            Reply::Refund(reply) => reply.encode(request, sealing),
            Reply::RefundQuery(reply) => reply.encode(request, sealing),
            Reply::Bill(reply) => reply.encode(request, sealing),
            Reply::Certificate(pem) => cert_download::encode_reply(pem, request, sealing),
        }
    }

    /// In v3; none if the operation has no v3 form.
    pub(super) fn encode_v3(&self, sealing: v3::Sealing<'_>) -> Option<HttpResponse> {
        Some(match self {
            Reply::Precreate(reply) => reply.encode_v3(sealing),
            Reply::Create(reply) => reply.encode_v3(sealing),
            Reply::Pay(reply) => reply.encode_v3(sealing),
            Reply::Query(reply) => reply.encode_v3(sealing),
            Reply::Close(reply) => reply.encode_v3(sealing),
            Reply::Cancel(reply) => reply.encode_v3(sealing),
            Reply::Refund(reply) => reply.encode_v3(sealing),
            Reply::RefundQuery(reply) => reply.encode_v3(sealing),
            Reply::Bill(reply) => reply.encode_v3(sealing),
            Reply::Certificate(_) => return None,
        })
    }
}
