#![no_main]
//! See `wechat_requests` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::wechat_requests(data));
