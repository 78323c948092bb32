//! Options that a source cannot honour are refused, never ignored.

use crate::config::FetchConfig;
use crate::failure::{Failure, Kind, Result};
use crate::oci::platform::WantedPlatform;
use crate::source::Source;
use crate::unpack::policy::Devices;

/// Refuses an option that means nothing for this machine's programs. Some options cannot make a difference, and are
/// accepted: those of the network, and those of owners, because all files belong to the caller.
///
/// # Errors
/// Usage.
pub fn check(source: &Source, config: &FetchConfig) -> Result<()> {
    if !matches!(source, Source::Host(_)) {
        return Ok(());
    }
    let policy = &config.policy;
    let is_named = matches!(config.platform, WantedPlatform::Named(_));
    let paths = "whose files keep their paths";
    let other_platform = "distro: and docker:// have root directories for other platforms";
    let options = [
        (config.digest.is_some(), "--digest", "whose programs have no digest", None),
        (is_named, "--platform", "which copies this machine's own programs", Some(other_platform)),
        (config.image_config.is_some(), "--config", "whose programs have no configuration", None),
        (!policy.selection.below.is_root(), "--subdir", paths, None),
        (policy.selection.strip > 0, "--strip-components", paths, None),
        (policy.sparse, "--sparse", "which copies files as they are", None),
        (
            policy.devices != Devices::LeaveOut,
            "--devices",
            "which has no device nodes",
            Some("chroot-rs mounts a /dev"),
        ),
    ];
    let Some((_, option, why, hint)) = options.into_iter().find(|(is_given, ..)| *is_given) else {
        return Ok(());
    };
    let failure = Failure::new(Kind::Usage, format_args!("{option} does not work with host:, {why}"));
    Err(hint.map_or(failure.clone(), |hint| failure.hint(hint)))
}

/// Refuses `--platform` for the digest of an archive, which is that of its bytes, also if it is an image.
///
/// # Errors
/// Usage.
pub fn check_printed_digest(source: &Source, config: &FetchConfig) -> Result<()> {
    match (source, &config.platform) {
        (Source::File(_) | Source::Stdin | Source::Url(_), WantedPlatform::Named(_)) => {
            Err(Failure::new(Kind::Usage, "--platform does not change the digest of an archive")
                .hint("omit it, or name the transport of an image: docker://, oci: or oci-archive:"))
        }
        _ => Ok(()),
    }
}
