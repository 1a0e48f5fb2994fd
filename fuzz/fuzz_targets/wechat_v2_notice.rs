#![no_main]
//! See `wechat_v2_notice` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::wechat_v2_notice(data));
