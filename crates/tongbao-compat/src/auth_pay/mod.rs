//! auth-pay: WeChat Pay and Alipay with a polling queue, and replies that are the provider's own
//! fields.
//!
//! | route | takes | does |
//! | --- | --- | --- |
//! | POST `/auth/pay/wx2.0/` | `totalFee` fen, `body` | orders a native code |
//! | POST `/auth/pay/wx` | `total_fee` fen, `body` | the same, older |
//! | POST `/auth/wxpay/orderquery2.0/` | `outTradeNo` | asks about the order |
//! | POST `/auth/wxpay/closeorder2.0/` | `outTradeNo` | closes it |
//! | POST `/auth/wxpay/refund2.0/` | `outTradeNo`, `totalFee` fen | gives all of it back |
//! | POST `/auth/wxpay/refundquery2.0/` | `outTradeNo` | asks about its refunds |
//! | POST `/auth/wxpay/downloadbill2.0/` | `billDate` 20140603, `billType` ALL | the bill |
//! | GET `/auth/alipay/pay2.0` | `totalAmount` yuan, `subject`, `body` | to Alipay's cashier |
//! | POST `/auth/alipay/query2.0/` | `outTradeNo` | asks about the order |
//! | POST `/auth/alipay/close2.0/` | `outTradeNo` | closes it |
//! | POST `/auth/alipay/refund2.0/` | `outTradeNo`, `refundAmount`, `refundReason` | refunds it |
//! | POST `/auth/alipay/refundquery2.0/` | `outTradeNo` | asks about its refund |
//! | POST `/auth/alipay/billQuery2.0/` | `billDate` 2016-04-05, `billType` trade | where it is |
//! | POST `/auth/zfb/callback/notify` | Alipay's notification | |
//! | GET `/auth/zfb/callback/return` | Alipay's redirect | to the result page |
//!
//! Each path also ends without or with a slash. A refund has the number of its order. The stages
//! of the queue are the charge's `poll.*` events, and `payStatus` 0, 1 and 2 are its statuses
//! `pending`, `succeeded` and `closed`.

mod alipay;
mod asked;
mod callbacks;
mod shape;
mod wechat;

use crate::{Routes, Service, answer, both};
use axum::routing::{MethodRouter, get, post};

/// What the profile answers.
pub(crate) fn routes() -> Routes {
    let routes: [(&str, MethodRouter<Service>); 15] = [
        ("/auth/pay/wx2.0", post(wechat::order)),
        ("/auth/pay/wx", post(wechat::order)),
        ("/auth/wxpay/orderquery2.0", post(wechat::query)),
        ("/auth/wxpay/closeorder2.0", post(wechat::close)),
        ("/auth/wxpay/refund2.0", post(wechat::refund)),
        ("/auth/wxpay/refundquery2.0", post(wechat::refund_query)),
        ("/auth/wxpay/downloadbill2.0", post(wechat::bill)),
        ("/auth/alipay/pay2.0", get(alipay::pay).head(answer::only_get)),
        ("/auth/alipay/query2.0", post(alipay::query)),
        ("/auth/alipay/close2.0", post(alipay::close)),
        ("/auth/alipay/refund2.0", post(alipay::refund)),
        ("/auth/alipay/refundquery2.0", post(alipay::refund_query)),
        ("/auth/alipay/billQuery2.0", post(alipay::bill)),
        ("/auth/zfb/callback/notify", post(callbacks::notify)),
        ("/auth/zfb/callback/return", get(callbacks::returned)),
    ];
    routes.into_iter().fold(Routes::default(), |routes, (path, method)| both(routes, path, method))
}
