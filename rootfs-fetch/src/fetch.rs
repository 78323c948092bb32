// SPDX-License-Identifier: MIT OR Apache-2.0
//! From SOURCE to DIRECTORY: open the source, grow the tree beside, give it its name.

use std::path::Path;
use std::sync::Arc;

use chain::{Reporter, Verbosity};

use crate::archive::stream::Stream;
use crate::archive::tar::reader::{Reader, Trailer, padded};
use crate::cli::Options;
use crate::destination::{Destination, IfExists};
use crate::digest::Digest;
use crate::failure::{Failure, Kind as ErrorKind, Result};
use crate::interrupt::Interrupt;
use crate::net::client::Net;
use crate::oci::image::{Image, Layers, LocalImage};
use crate::oci::manifest::Layer;
use crate::progress::Progress;
use crate::source::Source;
use crate::source::input::{self, Input, Opener};
use crate::tree::Tree;
use crate::tree::directories::Origin;
use crate::tree::name::Name;
use crate::unpack::listing::Listing;
use crate::unpack::policy::{Devices, Owners, Policy};
use crate::unpack::report::Report;
use crate::unpack::selection::{Pattern, Selection, SelectionCounts};
use crate::unpack::{ArchiveKind, Unpacker};

/// What a fetch is to do, and how.
#[derive(Debug)]
pub struct Fetch<'a> {
    /// Where the tree comes from.
    pub source: Source,
    /// Where it goes.
    pub directory: &'a Path,
    /// What was asked for.
    pub options: &'a Options,
    /// The network, and whether a signal asked us to end.
    pub net: &'a Arc<Net>,
    /// The voice.
    pub reporter: &'a Reporter,
}

impl Fetch<'_> {
    /// Does it.
    ///
    /// # Errors
    /// Every [`Failure`]; DIRECTORY is then as it was.
    pub fn run(&self) -> Result<()> {
        let input = self.opener().open(&self.source, |length| self.progress(length))?;
        if self.reporter.verbosity() == Verbosity::DryRun {
            return self.list(input);
        }
        self.make(input)
    }

    /// What opens our source.
    pub fn opener(&self) -> Opener<'_> {
        let beside = beside(self.directory);
        Opener { options: self.options, net: self.net, beside, reporter: self.reporter }
    }

    fn interrupt(&self) -> &Interrupt {
        self.net.interrupt()
    }

    fn make(&self, mut input: Input) -> Result<()> {
        let config = self.config(&input)?;
        let existing = match (self.options.replace, self.options.into) {
            (true, _) => IfExists::Replace,
            (_, true) => IfExists::Merge,
            _ => IfExists::Refuse,
        };
        let destination = Destination::prepare(self.directory, existing)?;
        let digest = match &input {
            Input::Image(image) => image.digest().cloned(),
            _ => self.options.digest.clone(),
        };
        match self
            .fill(&destination, &mut input)
            .and_then(|report| self.accept(report, &destination, config.as_deref()))
        {
            Ok(None) => self.unpack_as_image(destination),
            Ok(Some(report)) => {
                destination.commit()?;
                if !self.options.quiet {
                    report.report_losses(self.reporter);
                    report.report_made(self.reporter, self.directory, digest.as_ref());
                }
                Ok(())
            }
            Err(failure) => {
                let again = !destination.is_merge() && self.is_cache_to_blame(&failure, &input);
                if destination.is_merge() {
                    self.reporter.message("what was added until then stays, as --into has it");
                }
                if let Err(left) = destination.abandon() {
                    left.reporter(self.reporter);
                }
                if again { self.make(input) } else { Err(failure) }
            }
        }
    }

    /// What to write to the file of `--config`; for an archive it is not known yet.
    fn config(&self, input: &Input) -> Result<Option<Vec<u8>>> {
        match (&self.options.config, input) {
            (None, _) | (Some(_), Input::Archive(..)) => Ok(None),
            (Some(_), Input::Image(image)) => image.config().map(Some),
            (Some(_), Input::Host(_)) => {
                Err(Failure::new(ErrorKind::Usage, "the host's programs have no configuration"))
            }
        }
    }

    /// Writes the configuration beside a tree that is whole; nothing comes back if what was
    /// unpacked is an image.
    fn accept(
        &self,
        report: Report,
        destination: &Destination,
        config: Option<&[u8]>,
    ) -> Result<Option<Report>> {
        if self.may_be_image() && destination.image_format().is_some() {
            return Ok(None);
        }
        match (&self.options.config, config) {
            (Some(path), Some(config)) => input::write_config(config, path)?,
            (Some(_), None) => {
                return Err(Failure::damaged("the archive is no image: it has no configuration"));
            }
            (None, _) => {}
        }
        Ok(Some(report))
    }

    /// Whether what was wrong came from the cache, which has lost it now.
    fn is_cache_to_blame(&self, failure: &Failure, input: &Input) -> bool {
        let Input::Image(image) = input else { return false };
        let damaged = matches!(failure, Failure::Wrong { kind: ErrorKind::Damaged, .. });
        let blamed = damaged && image.forget_damaged().unwrap_or(false);
        if blamed {
            self.reporter.message("a layer in the cache was damaged: it is fetched again");
        }
        blamed
    }

    /// Whether what was unpacked may turn out to be an image: nothing of it was chosen or added.
    fn may_be_image(&self) -> bool {
        let options = self.options;
        let chosen = options.strip_components > 0 || !options.subdir.is_root() || !options.exclude.is_empty();
        matches!(self.source, Source::File(_) | Source::Stdin | Source::Url(_)) && !chosen && !options.into
    }

    /// Starts again, with what was unpacked taken for the image it is.
    fn unpack_as_image(&self, destination: Destination) -> Result<()> {
        let Some(form) = destination.image_format() else { return destination.abandon() };
        self.reporter.message("this archive is a container image: its layers are unpacked");
        if let Source::File(path) = &self.source {
            destination.abandon()?;
            let source = Source::Image(LocalImage { form, path: path.clone(), tag: None });
            let options = &Options { digest: None, ..self.options.clone() };
            return Fetch { source, options, ..*self }.run();
        }
        if !destination.is_sibling() {
            destination.abandon()?;
            return Err(Failure::damaged("there is no room to unpack an image twice in a mount point")
                .hint("save it in a file, and name that oci-archive:FILE or docker-archive:FILE"));
        }
        let image =
            destination.root().and_then(|root| Image::unpacked(root, form, &self.opener().platform()));
        let source = Source::Image(LocalImage { form, path: self.directory.into(), tag: None });
        let made = image.and_then(|image| Fetch { source, ..*self }.make(Input::Image(image)));
        let left = destination.abandon();
        made.and(left)
    }

    fn progress(&self, length: Option<u64>) -> Progress {
        let spoken =
            self.options.quiet || self.options.verbose || self.reporter.verbosity() == Verbosity::DryRun;
        if spoken { Progress::hidden() } else { Progress::start(length) }
    }

    fn fill(&self, destination: &Destination, input: &mut Input) -> Result<Report> {
        let origin = if destination.is_merge() { Origin::Found } else { Origin::Made };
        let tree = Tree::new(destination.root()?, origin)?;
        let mut unpacker = match input {
            Input::Host(copy) => return copy.make(tree, self.interrupt()),
            Input::Archive(..) | Input::Image(_) => Unpacker::new(
                tree,
                Policy { marked: !destination.is_sibling(), ..self.policy() },
                *self.reporter,
            ),
        };
        match input {
            Input::Archive(stream, progress) => {
                let unpacked = unpacker.archive(stream, ArchiveKind::Whole, self.interrupt());
                progress.clear();
                unpacked?;
            }
            Input::Image(image) => {
                if destination.is_merge() {
                    // what is added cannot be taken back
                    image.forget_damaged()?;
                }
                let progress = self.progress(image.size());
                let applied = self.apply(image, &progress, &mut unpacker);
                progress.clear();
                applied?;
            }
            Input::Host(_) => {}
        }
        unpacker.finish()
    }

    fn apply(&self, image: &Image, progress: &Progress, unpacker: &mut Unpacker) -> Result<()> {
        let layers = image.begin(self.opener().beside, progress)?;
        image.layers().iter().try_for_each(|layer| {
            let mut stream = self.layer(&layers, layer)?;
            let applied = unpacker.archive(&mut stream, ArchiveKind::Layer, self.interrupt());
            applied.map_err(|failure| match failure {
                // an address says more than a digest
                Failure::Wrong { kind: ErrorKind::Network | ErrorKind::NotFound, .. } => failure,
                failure => failure.within(&layer.path),
            })
        })
    }

    fn layer(&self, layers: &Layers<'_>, layer: &Layer) -> Result<Stream> {
        Stream::start(layers.open(layer)?, layer.content.clone(), self.options.max_size, self.interrupt())
    }

    /// Says what would be made.
    fn list(&self, input: Input) -> Result<()> {
        match input {
            Input::Archive(mut stream, _) => {
                let counts = self.list_archive(&mut stream, Trailer::Required, SelectionCounts::default())?;
                self.policy().selection.check(counts)
            }
            Input::Image(image) => {
                let layers = image.begin(self.opener().beside, &Progress::hidden())?;
                let counts =
                    image.layers().iter().try_fold(SelectionCounts::default(), |counts, layer| {
                        self.reporter.message(format_args!("layer {}", layer.path));
                        self.list_archive(&mut self.layer(&layers, layer)?, Trailer::Optional, counts)
                    })?;
                self.policy().selection.check(counts)
            }
            Input::Host(copy) => {
                copy.paths().iter().for_each(|path| self.reporter.message(path.display()));
                Ok(())
            }
        }
    }

    fn list_archive(
        &self,
        stream: &mut Stream,
        trailer: Trailer,
        mut counts: SelectionCounts,
    ) -> Result<SelectionCounts> {
        let selection = self.policy().selection;
        let mut reader = Reader::new(trailer);
        while let Some(entry) = reader.next(stream)? {
            self.interrupt().check()?;
            counts.seen += 1;
            if let Some(name) = selection.select(&Name::parse(&entry.raw_name)?) {
                counts.selected += 1;
                if !self.options.quiet {
                    self.reporter.message(Listing(&entry, &name));
                }
            }
            stream.skip(padded(entry.stored))?;
        }
        Ok(counts)
    }

    fn policy(&self) -> Policy {
        let options = self.options;
        let mut policy = Policy::for_caller();
        if options.no_same_owner {
            policy.owners = Owners::Caller;
        } else if options.squash && policy.owners == Owners::Keep {
            policy.owners = Owners::Squash;
        }
        if options.devices {
            policy.devices = Devices::Make;
        }
        policy.max_entries = options.max_files;
        policy.verbose = options.verbose;
        policy.selection = Selection {
            below: options.subdir.clone(),
            strip: options.strip_components,
            exclude: options.exclude.iter().map(|pattern| Pattern::new(pattern)).collect(),
        };
        policy
    }
}

/// Where what passes may be put: on the same file system as DIRECTORY.
pub fn beside(directory: &Path) -> &Path {
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl Report {
    /// The last line: `ubuntu-fs: 11,204 files, 170 MB, sha256:…`.
    fn report_made(&self, reporter: &Reporter, directory: &Path, digest: Option<&Digest>) {
        match digest {
            Some(digest) => reporter.message(format_args!("{}: {self}, {digest}", directory.display())),
            None => reporter.message(format_args!("{}: {self}", directory.display())),
        }
    }
}
