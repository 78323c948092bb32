// SPDX-License-Identifier: MIT OR Apache-2.0
//! From SOURCE to DIRECTORY: open the source, grow the tree beside, give it its name.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;

use chain::{Tell, Voice};

use crate::cli::Options;
use crate::digest::{Checked, Digest};
use crate::directories::Origin;
use crate::failure::{Failure, Result};
use crate::host;
use crate::image::manifest::Layer;
use crate::image::platform::Platform;
use crate::image::{Form, Image, Reference};
use crate::interrupt::Interrupt;
use crate::listed::Listed;
use crate::name::Name;
use crate::place::{self, Existing, Place};
use crate::policy::{Devices, Owners, Policy};
use crate::progress::Progress;
use crate::report::Report;
use crate::selection::{Pattern, Selection};
use crate::source::Source;
use crate::stream::Stream;
use crate::tar::reader::{Reader, Trailer, padded};
use crate::tree::Tree;
use crate::unpack::{Kind, Unpacker};

/// What a fetch is to do, and how.
#[derive(Debug)]
pub struct Fetch<'a> {
    /// Where the tree comes from.
    pub source: Source,
    /// Where it goes.
    pub directory: &'a Path,
    /// What was asked for.
    pub options: &'a Options,
    /// Whether a signal asked us to end.
    pub interrupt: &'a Interrupt,
    /// The voice.
    pub tell: &'a Tell,
}

/// A source that is there and can be read.
enum Input {
    Archive(Stream, Progress),
    Image(Image),
    Host(host::Copy),
}

impl Fetch<'_> {
    /// Does it.
    ///
    /// # Errors
    /// Every [`Failure`]; DIRECTORY is then as it was.
    pub fn run(&self) -> Result<()> {
        let input = self.open()?;
        if self.tell.voice() == Voice::DryRun {
            return self.list(input);
        }
        let existing = match (self.options.replace, self.options.into) {
            (true, _) => Existing::Replace,
            (_, true) => Existing::Add,
            _ => Existing::Refuse,
        };
        let place = Place::prepare(self.directory, existing)?;
        let digest = match &input {
            Input::Image(image) => image.digest().cloned(),
            _ => self.options.digest.clone(),
        };
        match self.fill(&place, input) {
            Ok(report) => {
                if let Some(form) = place.image().filter(|_| self.is_archive()) {
                    place.abandon()?;
                    return self.as_image(form);
                }
                place.commit()?;
                if !self.options.quiet {
                    report.tell_losses(self.tell);
                    report.tell_made(self.tell, self.directory, digest.as_ref());
                }
                Ok(())
            }
            Err(failure) => {
                if place.is_shared() {
                    self.tell.line("what was added until then stays, as --into has it");
                }
                if let Err(left) = place.abandon() {
                    left.tell(self.tell);
                }
                Err(failure)
            }
        }
    }

    /// Whether what was unpacked may turn out to be an image: nothing of it was chosen or added.
    fn is_archive(&self) -> bool {
        let options = self.options;
        let chosen = options.strip_components > 0 || !options.subdir.is_root() || !options.exclude.is_empty();
        matches!(self.source, Source::File(_) | Source::Stdin) && !chosen && !options.into
    }

    /// Starts again, with the archive taken for the image it is.
    fn as_image(&self, form: Form) -> Result<()> {
        let Source::File(path) = &self.source else {
            return Err(Failure::damaged("this archive is a container image, which is no tree to unpack")
                .hint("save it in a file, and name that oci-archive:FILE or docker-archive:FILE"));
        };
        self.tell.line("this archive is a container image: its layers are unpacked");
        let source = Source::Image(Reference { form, path: path.clone(), tag: None });
        Fetch { source, ..*self }.run()
    }

    fn open(&self) -> Result<Input> {
        let file: File = match &self.source {
            Source::Host(programs) => return Ok(Input::Host(host::Copy::plan(programs)?)),
            Source::Image(_) => return self.image().map(Input::Image),
            Source::File(path) => place::open_archive(path)?.into(),
            Source::Stdin => rustix::io::dup(rustix::stdio::stdin())
                .map_err(|error| Failure::call("read standard input", "dup(0)", error))?
                .into(),
        };
        let length = file.metadata().ok().filter(Metadata::is_file).map(|meta| meta.len());
        let progress = self.progress(length);
        let input: Box<dyn Read + Send> = match &self.options.digest {
            Some(digest) => Box::new(Checked::new(progress.count(file), digest.clone(), None)),
            None => progress.count(file),
        };
        let mut stream = Stream::start(input, None, self.options.max_size, self.interrupt)?;
        // what is no archive is said before anything is made
        stream.ready()?;
        Ok(Input::Archive(stream, progress))
    }

    fn progress(&self, length: Option<u64>) -> Progress {
        let spoken = self.options.quiet || self.options.verbose || self.tell.voice() == Voice::DryRun;
        if spoken { Progress::hidden() } else { Progress::start(length) }
    }

    fn image(&self) -> Result<Image> {
        let Source::Image(reference) = &self.source else {
            return Err(Failure::damaged("this is no image"));
        };
        let platform = self.options.platform.clone().unwrap_or_else(Platform::host);
        let beside = match self.directory.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let image = Image::open(reference, &platform, beside, self.options.max_size, self.interrupt)?;
        match (&self.options.digest, image.digest()) {
            (None, _) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            (Some(wanted), Some(found)) => {
                return Err(Failure::damaged(format_args!(
                    "the digest of the image is {found}, not {wanted}"
                )));
            }
            (Some(_), None) => return Err(Failure::damaged("an image of this form has no digest to check")),
        }
        Ok(image)
    }

    fn fill(&self, place: &Place, input: Input) -> Result<Report> {
        let origin = if place.is_shared() { Origin::Found } else { Origin::Made };
        let tree = Tree::new(place.root()?, origin)?;
        let mut unpacker = match input {
            Input::Host(copy) => return copy.make(tree, self.interrupt),
            _ => Unpacker::new(tree, Policy { marked: !place.is_beside(), ..self.policy() }, *self.tell),
        };
        match input {
            Input::Archive(mut stream, progress) => {
                let unpacked = unpacker.archive(&mut stream, Kind::Whole, self.interrupt);
                progress.clear();
                unpacked?;
            }
            Input::Image(image) => {
                let progress = self.progress(image.size());
                let applied = image.layers().iter().try_for_each(|layer| {
                    let mut stream = self.layer(&image, layer, &progress)?;
                    let applied = unpacker.archive(&mut stream, Kind::Layer, self.interrupt);
                    applied.map_err(|failure| failure.within(&layer.part))
                });
                progress.clear();
                applied?;
            }
            Input::Host(_) => {}
        }
        unpacker.finish()
    }

    fn layer(&self, image: &Image, layer: &Layer, progress: &Progress) -> Result<Stream> {
        let part = progress.count(image.part(layer)?);
        Stream::start(part, layer.content.clone(), self.options.max_size, self.interrupt)
    }

    /// Says what would be made.
    fn list(&self, input: Input) -> Result<()> {
        match input {
            Input::Archive(mut stream, _) => self.list_archive(&mut stream, Trailer::Required),
            Input::Image(image) => image.layers().iter().try_for_each(|layer| {
                self.tell.line(format_args!("layer {}", layer.part));
                self.list_archive(&mut self.layer(&image, layer, &Progress::hidden())?, Trailer::Optional)
            }),
            Input::Host(copy) => {
                copy.paths().iter().for_each(|path| self.tell.line(path.display()));
                Ok(())
            }
        }
    }

    fn list_archive(&self, stream: &mut Stream, trailer: Trailer) -> Result<()> {
        let selection = self.policy().selection;
        let mut reader = Reader::new(trailer);
        while let Some(entry) = reader.next(stream)? {
            self.interrupt.check()?;
            if let Some(name) = selection.select(&Name::parse(&entry.raw_name)?)
                && !self.options.quiet
            {
                self.tell.line(Listed(&entry, &name));
            }
            stream.skip(padded(entry.stored))?;
        }
        Ok(())
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
        policy.most_files = options.max_files;
        policy.verbose = options.verbose;
        policy.selection = Selection {
            below: options.subdir.clone(),
            strip: options.strip_components,
            exclude: options.exclude.iter().map(|pattern| Pattern::new(pattern)).collect(),
        };
        policy
    }
}

impl Report {
    /// The last line: `ubuntu-fs: 11,204 files, 170 MB, sha256:…`.
    fn tell_made(&self, tell: &Tell, directory: &Path, digest: Option<&Digest>) {
        match digest {
            Some(digest) => tell.line(format_args!("{}: {self}, {digest}", directory.display())),
            None => tell.line(format_args!("{}: {self}", directory.display())),
        }
    }
}
