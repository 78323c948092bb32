#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| rootfs_fetch_fuzz::elf(data));
