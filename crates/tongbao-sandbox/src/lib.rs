//! The pretend providers: a faithful simulator of WeChat Pay and Alipay.
