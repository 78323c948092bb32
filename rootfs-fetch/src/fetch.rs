//! One run, from SOURCE to DIRECTORY: open the source, fill a sibling, rename it.

mod dry_run;
mod image_in_file;
mod kept_stream;
mod layer_streams;

use std::fmt::Display;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use chain::Reporter;
use chain::reporter::quoted;

use crate::config::{FetchConfig, Output};
use crate::destination::{Destination, IfExists};
use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::fetch::layer_streams::LayerStreams;
use crate::host::target::{Limits, Target};
use crate::interrupt::Interrupt;
use crate::net::client::Net;
use crate::oci::image::Image;
use crate::oci::platform::WantedPlatform;
use crate::progress::Progress;
use crate::source::Source;
use crate::source::input::{Input, Opener, write_image_config};
use crate::tree::Tree;
use crate::tree::directories::Origin;
use crate::unpack::policy::Policy;
use crate::unpack::report::Report;
use crate::unpack::{ArchiveKind, Unpacker};

const IS_IMAGE: &str = "this archive is a container image: unpacking its layers";
const NO_CONFIG: &str = "the archive is not an image: it has no configuration";

/// The creation of a directory from a source.
#[derive(Debug)]
pub struct Fetch<'a> {
    /// Where the tree comes from.
    pub source: Source,
    /// DIRECTORY.
    pub directory: &'a Path,
    /// The configuration.
    pub config: &'a FetchConfig,
    /// The network, and whether a signal has arrived.
    pub net: &'a Arc<Net>,
    /// Prints entries and the summary.
    pub reporter: &'a Reporter,
}

impl Fetch<'_> {
    /// Fetches and unpacks; a dry run lists what would be unpacked.
    ///
    /// # Errors
    /// Every [`Failure`]. DIRECTORY is then unchanged, except for what [`IfExists::Merge`] has added.
    pub fn run(&self) -> Result<()> {
        self.unpack_or_list(self.opener().open(&self.source, |length| self.progress(length))?)
    }

    fn unpack_or_list(&self, input: Input) -> Result<()> {
        if self.is_dry_run() { self.list(input) } else { self.make(input) }
    }

    /// Prints a line about something other than a failure, unless `--quiet` asks for failures alone.
    fn note(&self, line: impl Display) {
        if self.config.output != Output::Quiet {
            self.reporter.message(line);
        }
    }

    fn is_dry_run(&self) -> bool {
        self.reporter.verbosity().is_dry_run()
    }

    /// Whether the whole archive becomes a new tree.
    fn is_whole(&self) -> bool {
        self.config.policy.selection.is_everything() && self.config.if_exists != IfExists::Merge
    }

    /// The archive, if it can be read again: a pipe, also one with a name, cannot.
    fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path) => path.is_file().then_some(path),
            _ => None,
        }
    }

    fn opener(&self) -> Opener<'_> {
        let temp_dir = parent(self.directory);
        Opener { config: self.config, net: self.net, temp_dir, reporter: self.reporter }
    }

    fn interrupt(&self) -> &Interrupt {
        self.net.interrupt()
    }

    fn make(&self, mut input: Input) -> Result<()> {
        let image_config = self.image_config(&input);
        if let Input::Host(plan) = &input {
            plan.check(&self.config.policy, self.limits())?;
        }
        let destination = Destination::prepare(self.directory, self.config.if_exists)?;
        let is_merge = destination.is_merge();
        if is_merge {
            let Some(archive) = self.unless_image(input)? else { return Ok(()) };
            input = archive;
        }
        let file = self.file_to_look_into(&destination, &input);
        let looks_first = file.is_some() || is_merge;
        let found = file.map_or(Ok(None), |file| self.image_in_file(file));
        if !matches!(found, Ok(None)) {
            return self.start_again(destination, input, found);
        }
        // before anything is unpacked
        let is_archive = matches!(input, Input::Archive(..));
        if let Err(failure) = if is_archive && looks_first { self.check_plain_archive() } else { Ok(()) } {
            return self.start_again(destination, input, Err(failure));
        }
        let filled = self.fill(&destination, &mut input);
        let can_be_image = filled.is_err() && !looks_first;
        let accepted = filled.and_then(|report| {
            let format = if looks_first { None } else { self.image_format(&destination, &report)? };
            if format.is_none() && is_archive {
                self.check_plain_archive()?;
            }
            if let (Some(path), Some(image_config)) = (&self.config.image_config, &image_config) {
                write_image_config(image_config, path)?;
            }
            Ok((report, format))
        });
        match accepted {
            Ok((_, Some(format))) => self.unpack_as_image(destination, format),
            Ok((report, None)) => self.commit(destination, &input, &report),
            Err(failure) => self.abandon(destination, input, failure, can_be_image),
        }
    }

    /// Gives the tree its name, and prints the summary.
    fn commit(&self, destination: Destination, input: &Input, report: &Report) -> Result<()> {
        if let Some(failed_removal) = destination.commit()? {
            let replaced = format_args!("{} is replaced, but the old tree remains", quoted(self.directory));
            failed_removal.within(replaced).print(self.reporter);
        }
        if self.config.output != Output::Quiet {
            report.report_losses(self.reporter);
            if report.privileged > 0 && self.config.policy.uid.is_root() {
                warn_of_programs(self.directory, report.privileged, self.reporter);
            }
            let digest = match input {
                Input::Image(image) => image.digest(),
                _ => self.config.digest.as_ref(),
            };
            self.reporter.message(summary(self.directory, report, digest));
        }
        Ok(())
    }

    /// Removes what was unpacked. If a damaged blob in the cache was the cause, or if the archive is an image of
    /// which a part was to be unpacked, tries once more.
    fn abandon(
        &self,
        destination: Destination,
        input: Input,
        failure: Failure,
        can_be_image: bool,
    ) -> Result<()> {
        let is_merge = destination.is_merge();
        let failure = destination.with_cause(failure);
        let again = !is_merge && self.is_cache_to_blame(&failure, &input);
        if is_merge {
            self.reporter.message("the files unpacked so far stay, because of --into");
        }
        if let Err(failed_removal) = destination.abandon() {
            failed_removal.print(self.reporter);
        }
        if again {
            return self.make(input);
        }
        drop(input);
        let can_be_image = can_be_image && failure.by_signal().is_none();
        let file = self.partial_file().filter(|_| can_be_image);
        match file.map_or(Ok(None), |file| self.image_in_file(file)) {
            Ok(Some(local)) => self.run_as_image(local),
            Err(interrupted) if interrupted.by_signal().is_some() => Err(interrupted),
            // such as a full disk, which the failure is about, too
            Ok(None) | Err(_) => Err(failure),
        }
    }

    /// The configuration for `--config`. An archive's is only known after it is unpacked.
    fn image_config(&self, input: &Input) -> Option<Vec<u8>> {
        let Input::Image(image) = input else { return None };
        self.config.image_config.as_ref().map(|_| image.config().to_vec())
    }

    /// The configuration of an image, of which nothing is unpacked.
    ///
    /// # Errors
    /// Every [`Failure`].
    pub fn only_image_config(&self) -> Result<Vec<u8>> {
        let path = match &self.source {
            Source::File(path) if self.file().is_some() || path.is_dir() || !path.exists() => path,
            Source::File(_) | Source::Stdin | Source::Url(_) => {
                let line = "--config needs DIRECTORY if SOURCE is a stream: \
                    the configuration is known only after unpacking";
                return Err(Failure::new(Kind::Usage, line)
                    .hint("name a DIRECTORY, or save the archive to a file and use that as SOURCE"));
            }
            source => return self.opener().image_config(source),
        };
        // fails for what does not exist, and for what is not an archive
        drop(self.opener().open(&self.source, |_| Progress::hidden())?);
        let local = self.image_in_file(path)?.ok_or_else(|| Failure::damaged(NO_CONFIG))?;
        Ok(self.opener().local_image(&local)?.config().to_vec())
    }

    /// Refuses an archive that is not an image if an option needs an image.
    fn check_plain_archive(&self) -> Result<()> {
        if self.config.image_config.is_some() {
            return Err(Failure::damaged(NO_CONFIG));
        }
        match &self.config.platform {
            WantedPlatform::Named(_) => {
                let line = "the archive is not an image: it has no platform";
                Err(Failure::new(Kind::NotFound, line).hint("omit --platform"))
            }
            WantedPlatform::Host(_) => Ok(()),
        }
    }

    /// The most that the host's programs can take.
    fn limits(&self) -> Limits {
        Limits { entries: self.config.policy.max_entries, bytes: self.config.max_bytes }
    }

    /// Whether a damaged blob in the cache caused the failure. The blob is then removed.
    fn is_cache_to_blame(&self, failure: &Failure, input: &Input) -> bool {
        let Input::Image(image) = input else { return false };
        let to_blame = failure.is(Kind::Damaged) && image.forget_damaged().unwrap_or(false);
        if to_blame {
            self.note("a layer in the cache was damaged: fetching it again");
        }
        to_blame
    }

    fn progress(&self, length: Option<u64>) -> Progress {
        let shown = !self.is_dry_run() && self.config.output == Output::Summary;
        if shown { Progress::start(length) } else { Progress::hidden() }
    }

    fn fill(&self, destination: &Destination, input: &mut Input) -> Result<Report> {
        let origin = if destination.is_merge() { Origin::Found } else { Origin::Made };
        let tree = Tree::new(destination.open_root()?, origin)?;
        // an image's log file full of zeros could fill a disk
        let sparse = self.config.policy.sparse || matches!(input, Input::Image(_));
        let may_inherit = !destination.is_sibling();
        let policy = Policy { may_inherit, sparse, ..self.config.policy.clone() };
        let unpacker = |tree| Unpacker::new(tree, policy.clone(), *self.reporter);
        match input {
            Input::Host(plan) => {
                plan.make(Target::new(tree, &policy, self.limits(), *self.reporter), self.interrupt())
            }
            Input::Archive(stream, progress) => {
                let mut unpacker = unpacker(tree);
                let unpacked = unpacker.archive(stream, ArchiveKind::Whole, self.interrupt());
                progress.clear();
                unpacked?;
                unpacker.finish()
            }
            Input::Image(image) => {
                if destination.is_merge() {
                    // a second try is impossible: the added files stay
                    image.forget_damaged()?;
                }
                let mut unpacker = unpacker(tree);
                let progress = self.progress(image.size());
                let applied = self.apply_layers(image, &progress, &mut unpacker);
                progress.clear();
                applied?;
                unpacker.finish()
            }
        }
    }

    fn layer_streams<'a>(&'a self, image: &'a Image, progress: &Progress) -> Result<LayerStreams<'a>> {
        let layers = image.begin(self.opener().temp_dir, progress)?;
        Ok(LayerStreams::new(image, layers, self.config.max_bytes, self.interrupt()))
    }

    fn apply_layers(&self, image: &Image, progress: &Progress, unpacker: &mut Unpacker) -> Result<()> {
        self.layer_streams(image, progress)?.try_for_each(|(layer, stream)| {
            let applied = unpacker.archive(&mut stream?, ArchiveKind::Layer, self.interrupt());
            applied.map_err(|failure| {
                // its message has an address, which is more useful than a digest
                let is_remote = failure.is(Kind::Network) || failure.is(Kind::NotFound);
                if is_remote { failure } else { failure.within(&layer.path) }
            })
        })
    }
}

/// Warns if other users of this machine can run programs of the tree with another user's rights.
fn warn_of_programs(directory: &Path, programs: u64, reporter: &Reporter) {
    let passes = |path: &Path, bits| path.metadata().is_ok_and(|meta| meta.permissions().mode() & bits != 0);
    let Ok(real) = directory.canonicalize() else { return };
    if passes(&real, 0o011) && real.ancestors().skip(1).all(|above| passes(above, 0o001)) {
        let what = if programs == 1 { "1 program" } else { &format!("{programs} programs") };
        reporter.message(format_args!(
            "{what} with set-user-ID, set-group-ID or capabilities can be run by every user of this \
             machine: to prevent that, put {} into a directory of mode 0700",
            directory.display()
        ));
    }
}

/// DIRECTORY's parent, which is on the same file system.
fn parent(directory: &Path) -> &Path {
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The last line: `ubuntu-fs: 11,204 files, 170 MB, sha256:…`.
fn summary(directory: &Path, report: &Report, digest: Option<&Digest>) -> String {
    let digest = digest.map_or_else(String::new, |digest| format!(", {digest}"));
    format!("{}: {report}{digest}", directory.display())
}
