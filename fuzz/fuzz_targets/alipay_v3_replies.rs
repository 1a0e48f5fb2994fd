#![no_main]
//! See `alipay_v3_replies` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::alipay_v3_replies(data));
