#![no_main]
//! See `alipay_notice` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::alipay_notice(data));
