//! Trade bill and fund-flow bill.

use super::Call;
use crate::wechat::bills::{self, NoBill, pack};
use tongbao_types::HttpResponse;
use tongbao_wechat::v2::{DownloadBill, DownloadFundFlow, Refusal};

impl Call<'_> {
    pub(super) fn trade_bill(&self) -> Result<HttpResponse, Refusal> {
        let asked = DownloadBill::decode(self.opened)?;
        let sub_mch_id = self.opened.merchant.sub_mch_id.as_deref();
        let text = bills::trade_bill(self.pretend, asked.date, asked.bill_type, sub_mch_id);
        let text = text.map_err(|none| match none {
            NoBill::None => Refusal::business("20002", "No Bill Exist"),
            NoBill::Creating => Refusal::business("20002", "Bill Creating"),
        })?;
        Ok(DownloadBill::encode_reply(&pack(&text, asked.packing)))
    }

    pub(super) fn fund_flow(&self) -> Result<HttpResponse, Refusal> {
        let asked = DownloadFundFlow::decode(self.opened)?;
        let text = bills::fund_bill(self.pretend, asked.date, asked.account);
        let text = text.map_err(|none| match none {
            NoBill::None => Refusal::business("NO_BILL_EXIST", "账单不存在"),
            NoBill::Creating => Refusal::business("BILL_CREATING", "账单生成中"),
        })?;
        Ok(DownloadFundFlow::encode_reply(&pack(&text, asked.packing), text.as_bytes()))
    }
}
