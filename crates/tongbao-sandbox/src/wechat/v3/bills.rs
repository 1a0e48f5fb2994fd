//! Bills: first an address that is good for five minutes, then the file.

use super::Call;
use crate::numbers;
use crate::wechat::bills::{self, NoBill, pack};
use tongbao_types::HttpResponse;
use tongbao_wechat::BillPacking;
use tongbao_wechat::v3::{
    BillDownload, BillLink, FundFlowBill, Refusal, TradeBill, bill_creating, no_bill,
};

impl Call<'_> {
    pub(super) fn trade_bill(&self) -> Result<HttpResponse, Refusal> {
        let asked = TradeBill::decode(self.opened)?;
        let sub_mch_id = self.opened.merchant.sub_mch_id.as_deref();
        let text = bills::trade_bill(self.pretend, asked.date, asked.bill_type, sub_mch_id);
        self.link(text, asked.packing)
    }

    pub(super) fn fund_flow(&self) -> Result<HttpResponse, Refusal> {
        let asked = FundFlowBill::decode(self.opened)?;
        self.link(bills::fund_bill(self.pretend, asked.date, asked.account), asked.packing)
    }

    pub(super) fn bill_file(&self) -> Result<HttpResponse, Refusal> {
        let asked = BillDownload::decode(self.opened)?;
        let files = self.pretend.bill_files();
        let text = files.find(&asked.token, self.pretend.now());
        let gone = || Refusal::new(404, "RESOURCE_NOT_EXISTS", "账单下载地址不存在或已失效");
        let file = pack(text.ok_or_else(gone)?, asked.packing);
        Ok(BillDownload::encode_reply(&file, self.request_id))
    }

    fn link(
        &self,
        text: Result<String, NoBill>,
        packing: BillPacking,
    ) -> Result<HttpResponse, Refusal> {
        let text = text.map_err(|none| match none {
            NoBill::None => no_bill(),
            NoBill::Creating => bill_creating(),
        })?;
        let token = numbers::letters(48);
        self.pretend.bill_files().keep(&token, &text, self.pretend.now());
        let link = BillLink::new(self.base, &token, packing, text.as_bytes());
        Ok(link.encode_reply(self.replier))
    }
}
