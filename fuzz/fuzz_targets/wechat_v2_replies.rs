#![no_main]
//! See `wechat_v2_replies` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::wechat_v2_replies(data));
