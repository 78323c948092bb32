//! From the bytes of an archive to its entries: decompress, then read tar.

pub mod chunks;
pub mod decode;
pub mod foreign;
pub mod open;
pub mod read_ahead;
pub mod stream;
pub mod tar;
