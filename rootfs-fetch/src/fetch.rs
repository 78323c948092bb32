//! One run, from SOURCE to DIRECTORY: open the source, fill a sibling, rename it.

mod dry_run;
mod layer_streams;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use chain::{Reporter, Verbosity};

use crate::config::{FetchConfig, Output};
use crate::destination::{Destination, IfExists};
use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::fetch::layer_streams::LayerStreams;
use crate::interrupt::Interrupt;
use crate::net::client::Net;
use crate::oci::image::{Image, ImageFormat, LocalImage};
use crate::oci::layout::Layout;
use crate::progress::Progress;
use crate::source::Source;
use crate::source::input::{Input, Opener, write_image_config};
use crate::tree::Tree;
use crate::tree::directories::Origin;
use crate::unpack::policy::Policy;
use crate::unpack::report::Report;
use crate::unpack::{ArchiveKind, Unpacker};

const IS_IMAGE: &str = "this archive is a container image: unpacking its layers";

/// A source that becomes a directory.
#[derive(Debug)]
pub struct Fetch<'a> {
    /// Where the tree comes from.
    pub source: Source,
    /// DIRECTORY.
    pub directory: &'a Path,
    /// What to do.
    pub config: &'a FetchConfig,
    /// The network, and whether a signal asked us to end.
    pub net: &'a Arc<Net>,
    /// Prints entries and the summary.
    pub reporter: &'a Reporter,
}

impl Fetch<'_> {
    /// Fetches and unpacks; a dry run lists what would be unpacked.
    ///
    /// # Errors
    /// Every [`Failure`]; DIRECTORY is then as it was, but for what [`IfExists::Merge`] has added to it.
    pub fn run(&self) -> Result<()> {
        if let Some(local) = self.image_in_file()? {
            self.reporter.message(IS_IMAGE);
            let image = self.opener().local_image(&local)?;
            return Fetch { source: Source::Image(local), ..*self }.carry_out(Input::Image(image));
        }
        self.carry_out(self.opener().open(&self.source, |length| self.progress(length))?)
    }

    fn carry_out(&self, input: Input) -> Result<()> {
        if self.is_dry_run() { self.list(input) } else { self.make(input) }
    }

    fn is_dry_run(&self) -> bool {
        self.reporter.verbosity() == Verbosity::DryRun
    }

    /// The image that an archive in a file is, where that must be known before it is unpacked:
    /// if only a part is chosen, if it is added to what is there, or if nothing is made at all.
    fn image_in_file(&self) -> Result<Option<LocalImage>> {
        let Source::File(path) = &self.source else { return Ok(None) };
        // a pipe can be opened once
        if self.is_whole() && !self.is_dry_run() || !path.is_file() {
            return Ok(None);
        }
        let FetchConfig { max_bytes, .. } = self.config;
        let files = match Layout::archive(path, self.opener().temp_dir, *max_bytes, self.interrupt()) {
            Ok(files) => files,
            Err(failure) if failure.by_signal().is_some() => return Err(failure),
            // unpacking it reports the error
            Err(_) => return Ok(None),
        };
        let Some(format) = ImageFormat::detect(&files) else { return Ok(None) };
        self.opener().check_archive(&self.source)?;
        Ok(Some(LocalImage { format, path: path.clone(), tag: None }))
    }

    /// Whether the whole archive becomes a new tree.
    fn is_whole(&self) -> bool {
        self.config.policy.selection.is_everything() && self.config.if_exists != IfExists::Merge
    }

    fn opener(&self) -> Opener<'_> {
        let temp_dir = parent(self.directory);
        Opener { config: self.config, net: self.net, temp_dir, reporter: self.reporter }
    }

    fn interrupt(&self) -> &Interrupt {
        self.net.interrupt()
    }

    fn make(&self, mut input: Input) -> Result<()> {
        let image_config = self.image_config(&input)?;
        let destination = Destination::prepare(self.directory, self.config.if_exists)?;
        let filled = self.fill(&destination, &mut input);
        let accepted = filled.and_then(|report| {
            let format = self.image_format(&destination)?;
            if let (Some(path), Some(image_config)) = (&self.config.image_config, &image_config) {
                write_image_config(image_config, path)?;
            }
            Ok((report, format))
        });
        match accepted {
            Ok((_, Some(format))) => self.unpack_as_image(destination, format),
            Ok((report, None)) => self.commit(destination, &input, &report),
            Err(failure) => self.abandon(destination, input, failure),
        }
    }

    /// Gives the tree its name and prints the summary.
    fn commit(&self, destination: Destination, input: &Input, report: &Report) -> Result<()> {
        destination.commit()?;
        if self.config.output != Output::Quiet {
            report.report_losses(self.reporter);
            if report.privileged > 0 && self.config.policy.uid.is_root() {
                within_reach(self.directory, report.privileged, self.reporter);
            }
            let digest = match input {
                Input::Image(image) => image.digest(),
                _ => self.config.digest.as_ref(),
            };
            self.reporter.message(summary(self.directory, report, digest));
        }
        Ok(())
    }

    /// Removes what was unpacked. If a damaged blob of the cache was to blame, it tries once more.
    fn abandon(&self, destination: Destination, input: Input, failure: Failure) -> Result<()> {
        let is_merge = destination.is_merge();
        let again = !is_merge && self.is_cache_to_blame(&failure, &input);
        if is_merge {
            self.reporter.message("the files unpacked so far stay, because of --into");
        }
        if let Err(failed_removal) = destination.abandon() {
            failed_removal.print(self.reporter);
        }
        if again { self.make(input) } else { Err(failure) }
    }

    /// The configuration for `--config`; that of an archive is known only after it is unpacked.
    fn image_config(&self, input: &Input) -> Result<Option<Vec<u8>>> {
        match (&self.config.image_config, input) {
            (None, _) | (Some(_), Input::Archive(..)) => Ok(None),
            (Some(_), Input::Image(image)) => Ok(Some(image.config().to_vec())),
            (Some(_), Input::Host(_)) => {
                Err(Failure::new(Kind::Usage, "the host's programs have no configuration"))
            }
        }
    }

    /// The format of the image that an unpacked archive turned out to be, if nothing of the archive
    /// was chosen and nothing was there before.
    fn image_format(&self, destination: &Destination) -> Result<Option<ImageFormat>> {
        if !matches!(self.source, Source::File(_) | Source::Stdin | Source::Url(_)) {
            return Ok(None);
        }
        // that of a file was looked for before
        let format = match self.config.if_exists {
            IfExists::Merge => None,
            _ => ImageFormat::detect(&Layout::Directory(destination.open_root()?)),
        };
        if format.is_some() && !self.is_whole() {
            return Err(Failure::damaged(
                "this archive is a container image, and a stream of one can only be unpacked whole",
            )
            .hint("save it to a file and use that as SOURCE"));
        }
        if format.is_none() && self.config.image_config.is_some() {
            return Err(Failure::damaged("the archive is not an image: it has no configuration"));
        }
        Ok(format)
    }

    /// Whether the failure came from a damaged blob of the cache, which is removed then.
    fn is_cache_to_blame(&self, failure: &Failure, input: &Input) -> bool {
        let Input::Image(image) = input else { return false };
        let to_blame = failure.is(Kind::Damaged) && image.forget_damaged().unwrap_or(false);
        if to_blame {
            self.reporter.message("a layer in the cache was damaged: fetching it again");
        }
        to_blame
    }

    /// Starts again with the image that the unpacked archive turned out to be.
    fn unpack_as_image(&self, unpacked: Destination, format: ImageFormat) -> Result<()> {
        self.reporter.message(IS_IMAGE);
        if let Source::File(path) = &self.source {
            unpacked.abandon()?;
            let local = LocalImage { format, path: path.clone(), tag: None };
            let image = self.opener().local_image(&local)?;
            return Fetch { source: Source::Image(local), ..*self }.make(Input::Image(image));
        }
        if !unpacked.is_sibling() {
            unpacked.abandon()?;
            return Err(Failure::damaged("cannot unpack an image from a stream into a mount point")
                .hint("save it to a file and use that as SOURCE"));
        }
        let root = unpacked.open_root();
        let image = root.and_then(|root| self.opener().unpacked_image(root, format));
        let source = Source::Image(LocalImage { format, path: self.directory.into(), tag: None });
        let made = image.and_then(|image| Fetch { source, ..*self }.make(Input::Image(image)));
        let removed = unpacked.abandon();
        made.and(removed)
    }

    fn progress(&self, length: Option<u64>) -> Progress {
        let shown = !self.is_dry_run() && self.config.output == Output::Summary;
        if shown { Progress::start(length) } else { Progress::hidden() }
    }

    fn fill(&self, destination: &Destination, input: &mut Input) -> Result<Report> {
        let origin = if destination.is_merge() { Origin::Found } else { Origin::Made };
        let tree = Tree::new(destination.open_root()?, origin)?;
        // an image's log files of nothing but zeros would fill a disk
        let sparse = self.config.policy.sparse || matches!(input, Input::Image(_));
        let unpacker = |tree| {
            let may_inherit = !destination.is_sibling();
            let policy = Policy { may_inherit, sparse, ..self.config.policy.clone() };
            Unpacker::new(tree, policy, *self.reporter)
        };
        match input {
            Input::Host(plan) => plan.make(tree, self.interrupt()),
            Input::Archive(stream, progress) => {
                let mut unpacker = unpacker(tree);
                let unpacked = unpacker.archive(stream, ArchiveKind::Whole, self.interrupt());
                progress.clear();
                unpacked?;
                unpacker.finish()
            }
            Input::Image(image) => {
                if destination.is_merge() {
                    // a second try is impossible: what is added stays
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
                // its message has an address, which says more than a digest
                let is_remote = failure.is(Kind::Network) || failure.is(Kind::NotFound);
                if is_remote { failure } else { failure.within(&layer.path) }
            })
        })
    }
}

/// Warns if other users of this machine can run programs of the tree with another user's rights.
fn within_reach(directory: &Path, programs: u64, reporter: &Reporter) {
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

/// The directory that holds DIRECTORY, and so is on the same file system.
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
