//! Whether an archive is an image, and the start again if it is.
//!
//! Often only the last name shows it. So that an archive is decoded once, it is unpacked or listed as it is,
//! and this is undone if it proves to be an image. What cannot be undone, or begins like an image, is looked
//! through first.

use std::fs::File;
use std::path::Path;

use crate::archive::open::open;
use crate::archive::stream::{SizeLimit, Stream};
use crate::archive::tar::reader::{Reader, skip_rest};
use crate::config::FetchConfig;
use crate::destination::Destination;
use crate::failure::{Failure, Result};
use crate::fetch::{Fetch, IS_IMAGE};
use crate::oci::image::{ImageFormat, LocalImage};
use crate::oci::layout::Layout;
use crate::source::Source;
use crate::source::input::Input;
use crate::tree::name::Name;
use crate::unpack::image_names::ImageNames;
use crate::unpack::report::Report;

impl Fetch<'_> {
    /// The archive file, if unpacking it cannot be undone, or would probably have to be.
    pub fn file_to_look_into(&self, destination: &Destination, input: &Input) -> Option<&Path> {
        let Input::Archive(stream, _) = input else { return None };
        if !destination.is_sibling() {
            // the directory itself gets the owner and the attributes of the archive's
            return self.file();
        }
        self.partial_file().filter(|_| self.config.policy.verbose || begins_like_image(stream))
    }

    /// The image in an archive file.
    ///
    /// # Errors
    /// Damaged, if the archive does not have the expected digest; interrupted.
    pub fn image_in_file(&self, path: &Path) -> Result<Option<LocalImage>> {
        let format = match self.names_in(path) {
            Ok(names) if names.allow_image() => self.format_by_contents(path)?,
            Err(failure) if failure.by_signal().is_some() => return Err(failure),
            // unpacking it reports the error
            Ok(_) | Err(_) => None,
        };
        let Some(format) = format else { return Ok(None) };
        self.opener().check_archive(&self.source)?;
        Ok(Some(LocalImage { format, path: path.to_path_buf(), tag: None }))
    }

    /// The archive file, unless the whole of it becomes a new tree, which shows whether it is an image.
    pub fn partial_file(&self) -> Option<&Path> {
        self.file().filter(|_| !self.is_whole() || self.is_dry_run())
    }

    /// The names in an archive, until one shows that it is not an image.
    fn names_in(&self, path: &Path) -> Result<ImageNames> {
        let file = Box::new(File::from(open(path)?));
        let limit = SizeLimit::new(self.config.max_bytes);
        let mut stream = Stream::start(file, None, limit, self.interrupt())?.known_to_be_whole();
        let mut names = ImageNames::default();
        note_names(&mut stream, &mut names)?;
        Ok(names)
    }

    /// The format of an archive that is an image, if its names allow that.
    ///
    /// # Errors
    /// A full disk; interrupted.
    pub fn format_by_contents(&self, path: &Path) -> Result<Option<ImageFormat>> {
        let FetchConfig { max_bytes, .. } = self.config;
        match Layout::archive(path, self.opener().temp_dir, *max_bytes, self.interrupt()) {
            Ok(files) => Ok(ImageFormat::detect(&files)),
            Err(failure) if failure.by_signal().is_some() || failure.is_full() => Err(failure),
            Err(_) => Ok(None),
        }
    }

    /// The format of the image that an unpacked archive turned out to be.
    ///
    /// # Errors
    /// Damaged, if it is a stream that cannot be read again; a full disk; interrupted.
    pub fn image_format(&self, destination: &Destination, report: &Report) -> Result<Option<ImageFormat>> {
        if !matches!(self.source, Source::File(_) | Source::Stdin | Source::Url(_)) {
            return Ok(None);
        }
        if !report.image_names.allow_image() {
            return Ok(None);
        }
        if let Some(path) = self.partial_file() {
            return self.format_by_contents(path);
        }
        let format = ImageFormat::detect(&Layout::Directory(destination.open_root()?));
        if format.is_some() && !self.config.policy.selection.is_everything() {
            return Err(partial_stream());
        }
        Ok(format)
    }

    /// Starts again with the image that the unpacked archive turned out to be.
    ///
    /// # Errors
    /// Every [`Failure`].
    pub fn unpack_as_image(&self, unpacked: Destination, format: ImageFormat) -> Result<()> {
        if let Some(path) = self.file() {
            unpacked.abandon()?;
            return self.run_as_image(LocalImage { format, path: path.to_path_buf(), tag: None });
        }
        self.note(IS_IMAGE);
        if !unpacked.is_sibling() {
            unpacked.abandon()?;
            return Err(stream_in_place());
        }
        let root = unpacked.open_root();
        let image = root.and_then(|root| self.opener().image_in(Layout::Directory(root), format));
        let source = Source::Image(LocalImage { format, path: self.directory.into(), tag: None });
        let made = image.and_then(|image| Fetch { source, ..*self }.make(Input::Image(image)));
        let removed = unpacked.abandon();
        made.and(removed)
    }

    /// Ends a run that has found out first, and starts again if there is an image.
    ///
    /// # Errors
    /// Every [`Failure`].
    pub fn start_again(
        &self,
        destination: Destination,
        input: Input,
        found: Result<Option<LocalImage>>,
    ) -> Result<()> {
        if let Input::Archive(_, progress) = &input {
            progress.clear();
        }
        drop(input);
        destination.abandon()?;
        found?.map_or(Ok(()), |local| self.run_as_image(local))
    }

    /// Starts again with the image that an archive file has proved to be.
    ///
    /// # Errors
    /// Every [`Failure`].
    pub fn run_as_image(&self, local: LocalImage) -> Result<()> {
        self.note(IS_IMAGE);
        let image = self.opener().local_image(&local)?;
        Fetch { source: Source::Image(local), ..*self }.unpack_or_list(Input::Image(image))
    }
}

/// What helps if an image cannot be unpacked from a stream.
pub const SAVE_FIRST: &str = "save it to a file and use that as SOURCE";

/// The failure if a stream is an image, of which a part is wanted.
pub fn partial_stream() -> Failure {
    let line = "this archive is a container image, and a stream of one can only be unpacked whole";
    Failure::damaged(line).hint(SAVE_FIRST)
}

/// The failure if a stream is an image, and DIRECTORY is filled in place, so that the layers cannot be kept beside
/// it.
pub fn stream_in_place() -> Failure {
    let line =
        "cannot unpack an image from a stream: DIRECTORY is a mount point, or its parent is not writable";
    Failure::damaged(line).hint(SAVE_FIRST)
}

/// Whether the first names of an archive are those of an image.
pub fn begins_like_image(stream: &Stream) -> bool {
    beginning(stream).suggest_image()
}

/// What the first names of an archive show.
pub fn beginning(stream: &Stream) -> ImageNames {
    let mut names = ImageNames::default();
    // ends with the bytes that are there
    let _ = note_names(&mut stream.beginning(), &mut names);
    names
}

/// Notes names until one shows that the archive is not an image.
pub fn note_names(stream: &mut Stream, names: &mut ImageNames) -> Result<()> {
    let mut reader = Reader::default();
    while let Some(entry) = reader.next(stream)? {
        names.note(&Name::parse(&entry.raw_name)?);
        if names.exclude_image() {
            break;
        }
        skip_rest(stream, entry.stored, 0)?;
    }
    Ok(())
}
