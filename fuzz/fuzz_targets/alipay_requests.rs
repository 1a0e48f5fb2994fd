#![no_main]
//! See `alipay_requests` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::alipay_requests(data));
