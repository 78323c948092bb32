//! The only login of a guarded registry and of its token server.

use base64::prelude::{BASE64_STANDARD, Engine as _};

/// The user.
pub const USER: &str = "somebody";
/// The password.
pub const PASSWORD: &str = "correct horse: battery";

/// `user:password`.
pub fn password() -> String {
    format!("{USER}:{PASSWORD}")
}

/// Base 64 with padding: RFC 4648.
pub fn base64(data: &[u8]) -> String {
    BASE64_STANDARD.encode(data)
}
