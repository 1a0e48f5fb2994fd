#![no_main]
//! See `config_toml` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::config_toml(data));
