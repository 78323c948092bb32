//! From the bytes of an archive to its entries: compression is undone, tar is read.

pub mod chunks;
pub mod decode;
pub mod foreign;
pub mod open;
pub mod read_ahead;
pub mod stream;
pub mod tar;
