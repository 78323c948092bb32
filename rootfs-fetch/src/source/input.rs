//! Opens a source: an archive to read, an image with its manifest, the host's programs.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use chain::Reporter;
use chain::reporter::quoted;

use crate::archive::open::open;
use crate::archive::stream::{SizeLimit, Stream};
use crate::config::{FetchConfig, Output};
use crate::digest::{CheckedReader, Digest, digest_of};
use crate::failure::{Failure, Kind, Result};
use crate::host;
use crate::interrupt::Interrupt;
use crate::net::client::Net;
use crate::net::transfer::{Expected, Transfer};
use crate::oci::cache::{Cache, CacheLocation};
use crate::oci::image::{Image, ImageFormat, LocalImage};
use crate::oci::layout::Layout;
use crate::oci::platform::WantedPlatform;
use crate::oci::reference::Reference;
use crate::oci::registry::mirrors::{self, Candidate};
use crate::oci::registry::repository::Repository;
use crate::oci::registry::session::Session;
use crate::progress::Progress;
use crate::source::Source;
use crate::source::suggest::suggestion;

/// An open source.
#[derive(Debug)]
pub enum Input {
    /// An archive, and the bar that counts its bytes.
    Archive(Stream, Progress),
    /// An image whose manifest was read.
    Image(Image),
    /// Programs of the host.
    Host(host::CopyPlan),
}

/// Opens sources.
#[derive(Clone, Copy, Debug)]
pub struct Opener<'a> {
    /// The configuration.
    pub config: &'a FetchConfig,
    /// The network.
    pub net: &'a Arc<Net>,
    /// A directory for temporary files, on the file system of the tree.
    pub temp_dir: &'a Path,
    /// Prints what is skipped.
    pub reporter: &'a Reporter,
}

/// Fails once a signal has arrived.
struct Interruptible<'a, R> {
    bytes: R,
    interrupt: &'a Interrupt,
}

impl<R: Read> Read for Interruptible<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.interrupt.check().map_err(Failure::into_io)?;
        self.bytes.read(buffer)
    }
}

impl Opener<'_> {
    /// Opens a source.
    ///
    /// # Errors
    /// Every [`Failure`]; nothing is created.
    pub fn open(&self, source: &Source, progress: impl FnOnce(Option<u64>) -> Progress) -> Result<Input> {
        match source {
            Source::Host(programs) => Ok(Input::Host(host::CopyPlan::plan(programs)?)),
            Source::Image(reference) => self.check_digest(self.local_image(reference)?).map(Input::Image),
            Source::Registry(name) => self.check_digest(self.registry_image(name)?).map(Input::Image),
            Source::File(_) | Source::Stdin | Source::Url(_) => {
                let (bytes, length) = self.bytes(source)?;
                // a length or a digest proves that nothing is missing at the end
                let whole = length.is_some() || self.config.digest.is_some();
                let progress = progress(length);
                let bytes = self.checked(progress.count(bytes));
                let mut stream =
                    Stream::start(bytes, None, SizeLimit::new(self.config.max_bytes), self.interrupt())?;
                if whole {
                    stream = stream.known_to_be_whole();
                }
                // if it is not an archive, fail before anything is created
                stream.ready()?;
                Ok(Input::Archive(stream, progress))
            }
        }
    }

    /// The digest of a source, for `--digest`.
    ///
    /// # Errors
    /// Every [`Failure`].
    pub fn digest(&self, source: &Source) -> Result<Digest> {
        let image = match source {
            Source::Host(_) => return Err(Failure::new(Kind::Usage, "the host's programs have no digest")),
            Source::Image(reference) => self.local_image(reference)?,
            Source::Registry(name) => self.registry_image(name)?,
            Source::File(_) | Source::Stdin | Source::Url(_) => {
                return digest_of(self.checked(self.bytes(source)?.0)).map_err(Failure::read);
            }
        };
        image.digest().cloned().ok_or_else(|| Failure::damaged("an image in this format has no digest"))
    }

    /// The configuration of an image.
    ///
    /// # Errors
    /// Every [`Failure`]; usage, for a source that is not an image.
    pub fn image_config(&self, source: &Source) -> Result<Vec<u8>> {
        let image = match source {
            Source::Image(reference) => self.local_image(reference)?,
            Source::Registry(name) => self.registry_image(name)?,
            _ => {
                return Err(Failure::new(Kind::Usage, "only an image has a configuration")
                    .hint("name its transport: docker://, oci:, oci-archive: or docker-archive:"));
            }
        };
        Ok(self.check_digest(image)?.config().to_vec())
    }

    /// Reads an archive to its end, to check its digest.
    ///
    /// # Errors
    /// Damaged; those of reading; interrupted.
    pub fn check_archive(&self, source: &Source) -> Result<()> {
        if self.config.digest.is_none() {
            return Ok(());
        }
        let (bytes, _) = self.bytes(source)?;
        let mut bytes = Interruptible { bytes: self.checked(bytes), interrupt: self.interrupt() };
        std::io::copy(&mut bytes, &mut std::io::sink()).map(drop).map_err(Failure::read)
    }

    /// Verifies the digest, if one is expected.
    fn checked(&self, bytes: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        match &self.config.digest {
            Some(digest) => Box::new(CheckedReader::new(bytes, digest.clone(), None)),
            None => bytes,
        }
    }

    fn interrupt(&self) -> &Interrupt {
        self.net.interrupt()
    }

    /// The stored bytes of an archive, and their number if it is known.
    fn bytes(&self, source: &Source) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
        let file: File = match source {
            Source::Url(url) => {
                let expected = Expected { size: None, checked: self.config.digest.is_some() };
                let transfer = Transfer::of_url(self.net, url, expected)?;
                let length = transfer.length();
                return Ok((Box::new(transfer), length));
            }
            Source::File(path) => open(path).map_err(|failure| with_suggestion(failure, path))?.into(),
            _ => rustix::io::dup(rustix::stdio::stdin())
                .map_err(|error| Failure::call("read standard input", "dup(0)", error))?
                .into(),
        };
        let meta = file.metadata().ok();
        if let (Source::File(path), true) = (source, meta.as_ref().is_some_and(Metadata::is_dir)) {
            let failure =
                Failure::new(Kind::Usage, format_args!("{} is a directory, not an archive", quoted(path)));
            return Err(suggestion(path).map_or(failure.clone(), |hint| failure.hint(hint)));
        }
        let length = meta.filter(Metadata::is_file).map(|meta| meta.len());
        Ok((Box::new(file), length))
    }

    /// An image on this machine, without a check of its digest.
    ///
    /// # Errors
    /// Those of [`Image::open`].
    pub fn local_image(&self, reference: &LocalImage) -> Result<Image> {
        let FetchConfig { platform, max_bytes, .. } = self.config;
        Image::open(reference, platform, self.temp_dir, *max_bytes, self.interrupt())
            .map(|it| self.note_platform(it))
    }

    /// The image in the files of a stream.
    ///
    /// # Errors
    /// Those of [`Image::of_files`].
    pub fn image_in(&self, files: Layout, format: ImageFormat) -> Result<Image> {
        Image::of_files(files, format, &self.config.platform).map(|image| self.note_platform(image))
    }

    /// Prints a line if an image is for another platform and --platform was not given.
    fn note_platform(&self, image: Image) -> Image {
        if let (WantedPlatform::Host(host), Some(platform)) = (&self.config.platform, image.platform())
            && host.distance(platform).is_none()
            && self.config.output != Output::Quiet
        {
            let line = format_args!("the image is for {platform}; this machine is {host}");
            self.reporter.message(line);
        }
        image
    }

    /// The image from the first place that has it; only mirrors may fail.
    fn registry_image(&self, name: &Reference) -> Result<Image> {
        let mut failed = None;
        for place in mirrors::candidates(name)? {
            match self.image_at(&place) {
                Err(failure) if place.is_mirror && failure.by_signal().is_none() => {
                    if self.config.output != Output::Quiet {
                        let mirror = &place.reference.registry;
                        self.reporter.message(format_args!("skipping the mirror {mirror}: {failure}"));
                    }
                    failed = Some(failure);
                }
                other => return other,
            }
        }
        Err(failed.unwrap_or_else(|| Failure::new(Kind::NotFound, "no registry to ask")))
    }

    fn image_at(&self, place: &Candidate) -> Result<Image> {
        if place.plain_http {
            self.net.allow_plain(place.reference.server());
        }
        let session = Session::new(self.net.clone(), place.reference.clone(), *self.reporter);
        let repository = Repository::new(session, self.cache()?.map(Arc::new));
        let FetchConfig { platform, max_bytes, .. } = self.config;
        Image::from_registry(repository, platform, *max_bytes).map(|image| self.note_platform(image))
    }

    /// The cache. If the default one cannot be used, the run continues without a cache.
    fn cache(&self) -> Result<Option<Cache>> {
        match &self.config.cache {
            CacheLocation::Nowhere => Ok(None),
            CacheLocation::Directory(path) => Cache::open(path).map(Some),
            CacheLocation::Default => {
                Ok(Cache::default_location().map_err(|why| self.reporter.message(why)).ok())
            }
        }
    }

    /// The image, after a check of its digest if one is expected.
    fn check_digest(&self, image: Image) -> Result<Image> {
        match (&self.config.digest, image.digest()) {
            (None, _) => Ok(image),
            (Some(wanted), Some(_)) if image.digests().contains(wanted) => Ok(image),
            (Some(wanted), Some(found)) => {
                Err(Failure::damaged(format_args!("the digest of the image is {found}, not {wanted}")))
            }
            (Some(_), None) => Err(Failure::damaged("an image in this format has no digest to check")),
        }
    }
}

/// A path that does not exist can be a misspelt transport.
fn with_suggestion(failure: Failure, path: &Path) -> Failure {
    match suggestion(path) {
        Some(hint) if failure.is(Kind::NotFound) => failure.hint(hint),
        _ => failure,
    }
}

/// Writes the configuration of an image to a file, or to standard output for `-`.
///
/// # Errors
/// I/O, denied.
pub fn write_image_config(config: &[u8], path: &Path) -> Result<()> {
    if path == Path::new("-") {
        return crate::io::write_all(rustix::stdio::stdout(), config);
    }
    std::fs::write(path, config).map_err(|error| {
        Failure::call("write the configuration", format_args!("open({})", quoted(path)), error)
    })
}
