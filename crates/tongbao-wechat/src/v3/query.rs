//! Order query (微信支付 API v3, 微信支付订单号查询订单 and 商户订单号查询订单).
//!
//! The object of the reply is also what payment notifications carry inside.

use super::envelope::{Opened, Received, Refusal, Replier, Stamp, get, read_json};
use super::party::{Mode, Party, same};
use super::target::{checked_segment, path_segment};
use crate::account::{Merchant, V3Credentials};
use crate::china::rfc3339_time;
use crate::error::{Answer, FieldError, Mismatch, ReplyError};
use crate::rules::{Kind, must};
use crate::trade::{Paid, Trade, TradeKey, TradeState};
use serde::{Deserialize, Serialize};
use tongbao_types::{Fen, HttpRequest, HttpResponse};

const BY_OURS: &str = "out-trade-no/";
const BY_THEIRS: &str = "id/";

/// How does this trade stand?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderQuery {
    /// Which trade.
    pub key: TradeKey,
}

impl OrderQuery {
    /// By the merchant's number, the only one that finds unpaid orders.
    pub fn by_out_trade_no(number: &str) -> OrderQuery {
        OrderQuery { key: TradeKey::OutTradeNo(number.to_owned()) }
    }

    /// The merchant's request.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let (path, number) = match &self.key {
            TradeKey::OutTradeNo(number) => (BY_OURS, number),
            TradeKey::TransactionId(number) => (BY_THEIRS, number),
        };
        let merchant = credentials.merchant();
        let mchid = &merchant.mch_id;
        let query = match &merchant.sub_mch_id {
            None => format!("mchid={mchid}"),
            Some(sub_mchid) => format!("sp_mchid={mchid}&sub_mchid={sub_mchid}"),
        };
        let rest = format!("{path}{}?{query}", path_segment(number));
        get(Mode::of(merchant).path(&rest), credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<OrderQuery, Refusal> {
        let (mode, path) = Mode::strip(opened.request.path()).unwrap_or((Mode::Direct, ""));
        let rule = must("out_trade_no", "商户订单号", Kind::OutTradeNo);
        let query = if let Some(number) = path.strip_prefix(BY_OURS) {
            let number = checked_segment(number, &rule)?;
            OrderQuery { key: TradeKey::OutTradeNo(number) }
        } else {
            let number = path.strip_prefix(BY_THEIRS).unwrap_or("");
            let rule = must("transaction_id", "微信支付订单号", Kind::Text(1, 32));
            OrderQuery { key: TradeKey::TransactionId(checked_segment(number, &rule)?) }
        };
        opened.check_query(mode)?;
        Ok(query)
    }

    /// The provider's reply.
    pub fn encode_reply(trade: &Trade, merchant: &Merchant, replier: &Replier<'_>) -> HttpResponse {
        replier.json(&TradeBody::of(trade, merchant))
    }

    /// The merchant reads the reply, and checks that it is about the trade asked for.
    pub fn decode_reply(
        &self,
        credentials: &V3Credentials,
        received: &Received<'_>,
    ) -> Result<Answer<Trade>, ReplyError> {
        received.verified()?.then(|body| {
            let body: TradeBody = read_json(body)?;
            body.check_identity(credentials.merchant())?;
            let (field, wanted, found) = match &self.key {
                TradeKey::OutTradeNo(number) => {
                    ("out_trade_no", number, Some(body.out_trade_no.as_str()))
                }
                TradeKey::TransactionId(number) => {
                    ("transaction_id", number, body.transaction_id.as_deref())
                }
            };
            same(field, wanted, found)?;
            Ok(body.trade()?)
        })
    }
}

/// A trade in JSON. Fields are in the order of their names, as production writes them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TradeBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<AmountBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    appid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attach: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bank_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mchid: Option<String>,
    pub(super) out_trade_no: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer: Option<PayerBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promotion_detail: Option<Vec<serde_json::Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sp_appid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sp_mchid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub_appid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub_mchid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    success_time: Option<String>,
    trade_state: String,
    #[serde(default)]
    trade_state_desc: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trade_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AmountBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer_currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer_total: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct PayerBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    openid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sp_openid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub_openid: Option<String>,
}

impl TradeBody {
    pub(super) fn of(trade: &Trade, merchant: &Merchant) -> TradeBody {
        let paid = trade.paid.as_ref();
        let party = Party::of(merchant);
        TradeBody {
            amount: paid.map(|paid| AmountBody {
                currency: Some(paid.currency.clone()),
                payer_currency: Some(paid.currency.clone()),
                payer_total: paid.payer_total.map(|fen| fen.0),
                total: Some(paid.total.0),
            }),
            appid: party.appid,
            attach: paid.map(|_| trade.attach.clone()),
            bank_type: paid.and_then(|paid| paid.bank_type.clone()),
            mchid: party.mchid,
            out_trade_no: trade.out_trade_no.clone(),
            payer: paid.map(|paid| PayerBody::of(paid.openid.clone(), merchant)),
            promotion_detail: paid.map(|_| Vec::new()),
            sp_appid: party.sp_appid,
            sp_mchid: party.sp_mchid,
            sub_appid: party.sub_appid,
            sub_mchid: party.sub_mchid,
            success_time: paid.and_then(|paid| paid.success_time).map(rfc3339_time),
            trade_state: trade.state.as_str().to_owned(),
            trade_state_desc: trade.state_desc.clone(),
            trade_type: paid.and_then(|paid| paid.trade_type.clone()),
            transaction_id: paid.map(|paid| paid.transaction_id.clone()),
        }
    }

    /// App ids and merchant numbers must be the account's.
    pub(super) fn check_identity(&self, merchant: &Merchant) -> Result<(), Mismatch> {
        let party = Party {
            appid: self.appid.clone(),
            mchid: self.mchid.clone(),
            sp_appid: self.sp_appid.clone(),
            sp_mchid: self.sp_mchid.clone(),
            sub_appid: self.sub_appid.clone(),
            sub_mchid: self.sub_mchid.clone(),
        };
        party.check(merchant)
    }

    /// The typed trade.
    pub(super) fn trade(self) -> Result<Trade, FieldError> {
        let state = TradeState::read(&self.trade_state);
        let attach = self.attach.clone().unwrap_or_default();
        let (out_trade_no, desc) = (self.out_trade_no.clone(), self.trade_state_desc.clone());
        let state_desc = if desc.is_empty() { state.description().to_owned() } else { desc };
        let paid = if state.is_paid() { Some(self.paid()?) } else { None };
        Ok(Trade { out_trade_no, state, state_desc, attach, paid })
    }

    fn paid(self) -> Result<Paid, FieldError> {
        let wrong = |name, problem| FieldError { name, problem };
        let amount = self.amount.ok_or(wrong("amount", "is missing"))?;
        let total = amount.total.ok_or(wrong("amount.total", "is missing"))?;
        if total < 0 || amount.payer_total.is_some_and(|fen| fen < 0) {
            return Err(wrong("amount", "is negative"));
        }
        let time = self.success_time.as_deref().map(str::parse).transpose();
        let number = self.transaction_id.filter(|number| !number.is_empty());
        Ok(Paid {
            transaction_id: number.ok_or(wrong("transaction_id", "is missing"))?,
            total: Fen(total),
            payer_total: amount.payer_total.map(Fen),
            currency: amount.currency.unwrap_or_else(|| "CNY".to_owned()),
            openid: self.payer.and_then(PayerBody::openid),
            trade_type: self.trade_type,
            bank_type: self.bank_type,
            success_time: time.map_err(|_| wrong("success_time", "is not RFC 3339"))?,
        })
    }
}

impl PayerBody {
    fn of(openid: Option<String>, merchant: &Merchant) -> PayerBody {
        let (mut payer, partner) = (PayerBody::default(), Mode::of(merchant) == Mode::Partner);
        let place = match &merchant.sub_app_id {
            Some(_) if partner => &mut payer.sub_openid,
            None if partner => &mut payer.sp_openid,
            _ => &mut payer.openid,
        };
        *place = openid;
        payer
    }

    /// The payer in the app that was paid in: the sub-merchant's, where it has one.
    fn openid(self) -> Option<String> {
        let given = |openid: Option<String>| openid.filter(|openid| !openid.is_empty());
        given(self.openid).or(given(self.sub_openid)).or(given(self.sp_openid))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::envelope::tests::{PAIR, PARTNER, opened, received, replier, stamp};
    use super::*;
    use serde_json::{Value, json};

    pub(in crate::v3) fn trade(state: TradeState) -> Trade {
        crate::trade::tests::trade("20180821|665587*", state)
    }

    fn ask(query: &OrderQuery, trade: &Trade) -> Result<Answer<Trade>, ReplyError> {
        let opened = opened(query.encode(&PAIR.credentials, stamp()));
        assert_eq!(OrderQuery::decode(&opened).as_ref(), Ok(query));
        let merchant = PAIR.credentials.merchant();
        let response = OrderQuery::encode_reply(trade, merchant, &replier());
        query.decode_reply(&PAIR.credentials, &received(&response))
    }

    #[test]
    fn every_state_goes_there_and_back_by_both_numbers() {
        let by_ours = OrderQuery::by_out_trade_no("20180821|665587*");
        for word in ["SUCCESS", "REFUND", "NOTPAY", "CLOSED", "NEWWORD"] {
            let trade = trade(TradeState::read(word));
            assert_eq!(ask(&by_ours, &trade), Ok(Answer::Done(trade)));
        }
        let number = "4200000263201902167700136502".to_owned();
        let by_theirs = OrderQuery { key: TradeKey::TransactionId(number) };
        let paid = trade(TradeState::Success);
        assert_eq!(ask(&by_theirs, &paid), Ok(Answer::Done(paid)));
    }

    #[test]
    fn the_request_and_the_reply_are_written_exactly_so() {
        let query = OrderQuery::by_out_trade_no("20180821|665587*");
        let request = query.encode(&PAIR.credentials, stamp());
        let wanted = "/v3/pay/transactions/out-trade-no/20180821%7C665587*?mchid=1900000109";
        assert_eq!(request.target, wanted);
        let merchant = PAIR.credentials.merchant();
        let response = OrderQuery::encode_reply(&trade(TradeState::Success), merchant, &replier());
        let wanted = r#"{"amount":{"currency":"CNY","payer_currency":"CNY","payer_total":100,"total":101},"appid":"wxd930ea5d5a258f4f","attach":"","bank_type":"OTHERS","mchid":"1900000109","out_trade_no":"20180821|665587*","payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},"promotion_detail":[],"success_time":"2026-11-21T00:00:00+08:00","trade_state":"SUCCESS","trade_state_desc":"支付成功","trade_type":"NATIVE","transaction_id":"4200000263201902167700136502"}"#;
        assert_eq!(response.body, wanted);
    }

    #[test]
    fn a_service_provider_asks_and_is_told_with_both_numbers() {
        let query = OrderQuery::by_out_trade_no("20180821|665587*");
        let request = query.encode(&PARTNER, stamp());
        let wanted = "/v3/pay/partner/transactions/out-trade-no/20180821%7C665587*?sp_mchid=1900000109&sub_mchid=1900000209";
        assert_eq!(request.target, wanted);
        let opened = opened(request);
        assert_eq!(OrderQuery::decode(&opened).as_ref(), Ok(&query));
        assert_eq!(opened.merchant.sub_mch_id.as_deref(), Some("1900000209"));
        let paid = trade(TradeState::Success);
        let response = OrderQuery::encode_reply(&paid, PARTNER.merchant(), &replier());
        let wanted = r#"{"amount":{"currency":"CNY","payer_currency":"CNY","payer_total":100,"total":101},"attach":"","bank_type":"OTHERS","out_trade_no":"20180821|665587*","payer":{"sub_openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},"promotion_detail":[],"sp_appid":"wxd930ea5d5a258f4f","sp_mchid":"1900000109","sub_appid":"wxd678efh567hg6787","sub_mchid":"1900000209","success_time":"2026-11-21T00:00:00+08:00","trade_state":"SUCCESS","trade_state_desc":"支付成功","trade_type":"NATIVE","transaction_id":"4200000263201902167700136502"}"#;
        assert_eq!(response.body, wanted);
        let answer = query.decode_reply(&PARTNER, &received(&response));
        assert_eq!(answer, Ok(Answer::Done(paid)));
        let of_another = query.decode_reply(&PAIR.credentials, &received(&response));
        assert!(matches!(of_another, Err(ReplyError::Mismatch(m)) if m.field == "appid"));
    }

    #[test]
    fn the_payer_is_known_under_the_app_that_was_paid_in() {
        let read = |payer: Value| serde_json::from_value::<PayerBody>(payer).unwrap().openid();
        assert_eq!(read(json!({"sp_openid": "a", "sub_openid": "b"})).as_deref(), Some("b"));
        assert_eq!(read(json!({"sp_openid": "a", "sub_openid": ""})).as_deref(), Some("a"));
        assert_eq!(read(json!({"openid": "c"})).as_deref(), Some("c"));
        assert_eq!(read(json!({})), None);
        let direct_app = Merchant { sub_app_id: None, ..PARTNER.merchant().clone() };
        let payer = PayerBody::of(Some("a".to_owned()), &direct_app);
        assert_eq!(serde_json::to_value(payer).unwrap(), json!({"sp_openid": "a"}));
    }

    #[test]
    fn a_production_reply_is_read() {
        // As a merchant of the community published it, with its numbers cut short.
        let body = r#"{"amount":{"currency":"CNY","payer_currency":"CNY","payer_total":1,"total":1},"appid":"wxd930ea5d5a258f4f","attach":"","bank_type":"BOC_CREDIT","mchid":"1900000109","out_trade_no":"TC2022","payer":{"openid":"ol6"},"promotion_detail":[],"success_time":"2022-07-14T15:34:45+08:00","trade_state":"SUCCESS","trade_state_desc":"支付成功","trade_type":"JSAPI","transaction_id":"42000"}"#;
        let read: TradeBody = serde_json::from_str(body).unwrap();
        assert_eq!(read.check_identity(PAIR.credentials.merchant()), Ok(()));
        let trade = read.trade().unwrap();
        let paid = trade.paid.as_ref().unwrap();
        assert_eq!((paid.total, paid.bank_type.as_deref()), (Fen(1), Some("BOC_CREDIT")));
        assert_eq!(paid.success_time, "2022-07-14T07:34:45Z".parse().ok());
        let written = TradeBody::of(&trade, PAIR.credentials.merchant());
        assert_eq!(serde_json::to_string(&written).unwrap(), body);
    }

    #[test]
    fn a_reply_about_another_trade_or_account_is_not_believed() {
        let query = OrderQuery::by_out_trade_no("20180821665588");
        let error = ask(&query, &trade(TradeState::Success)).unwrap_err();
        assert!(matches!(error, ReplyError::Mismatch(m) if m.field == "out_trade_no"));
        let query = OrderQuery::by_out_trade_no("20180821|665587*");
        for (app_id, mch_id, field) in
            [("wx1", "1900000109", "appid"), ("wxd930ea5d5a258f4f", "1", "mchid")]
        {
            let other = Merchant::direct(app_id, mch_id);
            let response =
                OrderQuery::encode_reply(&trade(TradeState::Success), &other, &replier());
            let answer = query.decode_reply(&PAIR.credentials, &received(&response));
            assert!(matches!(answer, Err(ReplyError::Mismatch(m)) if m.field == field));
        }
    }

    #[test]
    fn a_paid_trade_needs_its_amount_and_number() {
        let check = |change: fn(&mut Value), name: &str| {
            let body = TradeBody::of(&trade(TradeState::Success), PAIR.credentials.merchant());
            let mut value = serde_json::to_value(body).unwrap();
            change(&mut value);
            let body: TradeBody = serde_json::from_value(value).unwrap();
            assert_eq!(body.trade().unwrap_err().name, name);
        };
        check(|v| v["amount"] = Value::Null, "amount");
        check(|v| v["amount"] = json!({}), "amount.total");
        check(|v| v["amount"]["total"] = json!(-1), "amount");
        check(|v| v["transaction_id"] = json!(""), "transaction_id");
        check(|v| v["success_time"] = json!("yesterday"), "success_time");
    }

    #[test]
    fn the_provider_checks_the_number_and_the_merchant() {
        let bad = OrderQuery::by_out_trade_no("123").encode(&PAIR.credentials, stamp());
        let refusal = OrderQuery::decode(&opened(bad)).unwrap_err();
        assert!(refusal.message.contains("“/uri_template/out_trade_no”"), "{}", refusal.message);
        assert_eq!(refusal.detail.unwrap()["location"], "uri_template");
        let target = "/v3/pay/transactions/id/42?mchid=1".to_owned();
        let other = get(target, &PAIR.credentials, stamp());
        assert!(OrderQuery::decode(&opened(other)).is_err());
        let partners = "/v3/pay/partner/transactions/id/42?sp_mchid=1900000109".to_owned();
        let refusal = OrderQuery::decode(&opened(get(partners, &PAIR.credentials, stamp())));
        assert!(refusal.unwrap_err().message.contains("“/query/sub_mchid”"));
    }
}
