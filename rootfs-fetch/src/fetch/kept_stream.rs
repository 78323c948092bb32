//! With `--into`, what is unpacked cannot be undone. So a stream is first kept in a file until it is known whether it is
//! an image.

use std::sync::Arc;

use crate::archive::stream::{SizeLimit, Stream};
use crate::failure::Result;
use crate::fetch::image_in_file::{SAVE_FIRST, beginning, note_names};
use crate::fetch::{Fetch, IS_IMAGE};
use crate::io;
use crate::oci::image::{ImageFormat, LocalImage};
use crate::oci::layout::{Layout, Section};
use crate::source::Source;
use crate::source::input::Input;
use crate::unpack::image_names::ImageNames;

/// What a stream has proved to be.
#[derive(Debug)]
enum Kept {
    /// An image, of this format.
    Image(ImageFormat, Layout),
    /// Any other archive, from its beginning.
    Archive(Box<Stream>),
}

impl Fetch<'_> {
    /// The input; None if it was a stream that has proved to be an image, which is then unpacked or listed.
    ///
    /// # Errors
    /// Every [`crate::failure::Failure`].
    pub fn unless_image(&self, input: Input) -> Result<Option<Input>> {
        let (stream, progress) = match input {
            Input::Archive(stream, progress) if self.file().is_none() => (stream, progress),
            other => return Ok(Some(other)),
        };
        let kept = self.keep(stream);
        if !matches!(kept, Ok(Kept::Archive(_))) {
            progress.clear();
        }
        match kept? {
            Kept::Archive(stream) => Ok(Some(Input::Archive(*stream, progress))),
            Kept::Image(format, files) => {
                self.note(IS_IMAGE);
                let image = self.opener().image_in(files, format)?;
                let source = Source::Image(LocalImage { format, path: self.directory.into(), tag: None });
                Fetch { source, ..*self }.unpack_or_list(Input::Image(image)).map(|()| None)
            }
        }
    }

    /// Reads a stream to its end if its first names do not show that it is not an image.
    ///
    /// # Errors
    /// Those of the stream and of the file: it is in DIRECTORY and has no name.
    fn keep(&self, mut stream: Stream) -> Result<Kept> {
        if beginning(&stream).exclude_image() {
            return Ok(Kept::Archive(Box::new(stream)));
        }
        let file = io::unnamed_file(self.directory, "keep the archive to look for an image in it")
            .map_err(|failure| failure.hint(SAVE_FIRST))?;
        while !stream.at_end()? {
            io::write_all(&file, stream.bytes(u64::MAX)?)
                .map_err(|failure| failure.within("a copy of the archive").hint(SAVE_FIRST))?;
        }
        let is_whole = stream.is_whole();
        let file = Arc::new(file);
        let again = || {
            let limit = SizeLimit::new(self.config.max_bytes);
            let stream =
                Stream::start(Box::new(Section::whole(file.clone())), None, limit, self.interrupt())?;
            Ok(if is_whole { stream.known_to_be_whole() } else { stream })
        };
        let mut names = ImageNames::default();
        let read = note_names(&mut again()?.known_to_be_whole(), &mut names);
        if let Some(interrupted) = read.as_ref().err().filter(|failure| failure.by_signal().is_some()) {
            return Err(interrupted.clone());
        }
        // unpacking it reports an error of the archive
        if read.is_ok()
            && names.allow_image()
            && let Some(files) = self.image_files(&file)?
            && let Some(format) = ImageFormat::detect(&files)
        {
            return Ok(Kept::Image(format, files));
        }
        again().map(|stream| Kept::Archive(Box::new(stream)))
    }

    /// The members of an archive; None if it is damaged.
    fn image_files(&self, file: &Arc<std::fs::File>) -> Result<Option<Layout>> {
        match Layout::of_file(file.clone(), self.config.max_bytes, self.interrupt()) {
            Ok(files) => Ok(Some(files)),
            Err(failure) if failure.by_signal().is_some() => Err(failure),
            Err(_) => Ok(None),
        }
    }
}
