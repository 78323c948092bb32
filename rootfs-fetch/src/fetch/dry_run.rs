//! A dry run: lists what a run would create, and ends as the run would.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::archive::stream::Stream;
use crate::archive::tar::reader::{Reader, skip_rest};
use crate::archive::tar::{Entry, EntryKind};
use crate::config::Output;
use crate::destination::{Destination, Placement};
use crate::failure::Result;
use crate::fetch::Fetch;
use crate::fetch::image_in_file::{begins_like_image, partial_stream, stream_in_place};
use crate::oci::image::{Image, ImageFormat, LocalImage};
use crate::oci::layout::Layout;
use crate::oci::model::MAX_JSON_BYTES;
use crate::progress::Progress;
use crate::source::input::Input;
use crate::tree::name::Name;
use crate::unpack::image_names::{ImageNames, MARKS};
use crate::unpack::listing::Listing;
use crate::unpack::selection::SelectionCounts;
use crate::unpack::{ArchiveKind, check_count, check_entry};

/// The maximum size of lines that are held back, enough for 50,000 entries. The archive is looked through before
/// more are printed.
const MAX_HELD_BYTES: usize = 4 << 20;

impl Fetch<'_> {
    /// Prints what would be created.
    ///
    /// # Errors
    /// Those of the run, as far as they can be known without creating anything.
    pub fn list(&self, input: Input) -> Result<()> {
        let placement = Destination::check(self.directory, self.config.if_exists)?;
        let input = match placement {
            Placement::Merge => self.unless_image(input)?,
            Placement::Sibling | Placement::EmptyDir => Some(input),
        };
        let Some(input) = input else { return Ok(()) };
        match input {
            Input::Archive(stream, _) => self.list_whole(stream, placement),
            Input::Image(image) => self.list_image(&image),
            Input::Host(plan) => {
                plan.check(&self.config.policy, self.limits())?;
                plan.selected(&self.config.policy).iter().for_each(|path| self.note(path.display()));
                Ok(())
            }
        }
    }

    fn list_whole(&self, mut stream: Stream, placement: Placement) -> Result<()> {
        let mut archive = Listed::of(self, ArchiveKind::Whole);
        if self.partial_file().is_some() {
            archive.held = Some(String::new());
        }
        if begins_like_image(&stream) {
            archive.look()?;
        }
        let listed = archive.list(&mut stream, Reader::default());
        if listed.as_ref().is_err_and(|failure| failure.by_signal().is_some()) {
            return listed;
        }
        // a failure can be the archive's and not the image's: --max-files
        if listed.is_err() || archive.names.allow_image() {
            archive.look()?;
        }
        if let Some(image) = archive.image {
            drop(stream);
            return self.run_as_image(image);
        }
        archive.release();
        listed?;
        let is_image = archive.is_image();
        self.config.policy.selection.check(archive.counts)?;
        if is_image && self.file().is_none() {
            if !self.config.policy.selection.is_everything() {
                return Err(partial_stream());
            }
            if placement == Placement::EmptyDir {
                return Err(stream_in_place());
            }
            self.note("this archive is a container image: a run would unpack its layers");
        }
        if is_image { Ok(()) } else { self.check_plain_archive() }
    }

    fn list_image(&self, image: &Image) -> Result<()> {
        let mut archive = Listed::of(self, ArchiveKind::Layer);
        self.layer_streams(image, &Progress::hidden())?.try_for_each(|(layer, stream)| {
            self.note(format_args!("layer {}", layer.path));
            archive.list(&mut stream?, Reader::of_layer())
        })?;
        self.config.policy.selection.check(archive.counts)
    }
}

/// The entries that were listed so far.
struct Listed<'a> {
    fetch: &'a Fetch<'a>,
    kind: ArchiveKind,
    counts: SelectionCounts,
    names: ImageNames,
    /// Lines that are not printed yet, because the archive can still prove to be an image.
    held: Option<String>,
    /// The image that it has proved to be.
    image: Option<LocalImage>,
    /// The files that distinguish an image from a root directory, with their contents.
    marks: BTreeMap<&'static str, Vec<u8>>,
}

impl<'a> Listed<'a> {
    fn of(fetch: &'a Fetch<'a>, kind: ArchiveKind) -> Self {
        let (counts, names) = (SelectionCounts::default(), ImageNames::default());
        Self { fetch, kind, counts, names, held: None, image: None, marks: BTreeMap::new() }
    }

    /// Prints a line, or holds it back.
    fn print(&mut self, line: Listing) -> Result<()> {
        let Some(held) = &mut self.held else {
            self.fetch.reporter.message(line);
            return Ok(());
        };
        // cannot fail: a string
        let _ = writeln!(held, "{line}");
        if held.len() > MAX_HELD_BYTES { self.look() } else { Ok(()) }
    }

    /// Prints the lines that were held back.
    fn release(&mut self) {
        for line in self.held.take().unwrap_or_default().lines() {
            self.fetch.reporter.message(line);
        }
    }

    /// Looks once whether the archive is an image. If not, prints the lines that were held back, and holds back no
    /// more.
    fn look(&mut self) -> Result<()> {
        if let (Some(_), None, Some(file)) = (&self.held, &self.image, self.fetch.partial_file()) {
            self.image = self.fetch.image_in_file(file)?;
        }
        if self.image.is_none() {
            self.release();
        }
        Ok(())
    }

    fn list(&mut self, stream: &mut Stream, mut reader: Reader) -> Result<()> {
        let config = self.fetch.config;
        while self.image.is_none()
            && let Some(entry) = reader.next(stream)?
        {
            self.fetch.interrupt().check()?;
            self.counts.seen += 1;
            check_count(self.counts.seen, config.policy.max_entries)?;
            let name = Name::parse(&entry.raw_name)?;
            self.names.note(&name);
            if self.names.exclude_image() {
                self.marks.clear();
                self.release();
            }
            if !check_entry(&entry, &name, self.kind)? {
                skip_rest(stream, entry.stored, 0)?;
                continue;
            }
            let selected = config.policy.selection.select(&name);
            if let Some(name) = &selected {
                self.counts.selected += 1;
                if config.output != Output::Quiet {
                    self.print(Listing(&entry, name))?;
                }
            }
            // a run looks for an image in what it has unpacked of a stream
            let marked = if self.fetch.file().is_none() { selected } else { Some(name) };
            let used = marked.map_or(Ok(0), |name| self.mark(&name, &entry, stream))?;
            skip_rest(stream, entry.stored, used)?;
        }
        Ok(())
    }

    /// Keeps a file that can show that this is an image. Returns how many bytes of it were read.
    fn mark(&mut self, name: &Name, entry: &Entry, stream: &mut Stream) -> Result<u64> {
        let mark = MARKS.into_iter().find(|mark| mark.as_bytes() == name.bytes());
        let Some(mark) = mark.filter(|_| self.kind == ArchiveKind::Whole) else { return Ok(0) };
        // the last of a name wins
        self.marks.remove(mark);
        let is_file = matches!(entry.kind, EntryKind::File | EntryKind::Unknown(_));
        if !is_file || entry.stored > MAX_JSON_BYTES || self.names.exclude_image() {
            return Ok(0);
        }
        let mut data = Vec::with_capacity(usize::try_from(entry.stored).unwrap_or_default());
        while (data.len() as u64) < entry.stored {
            data.extend_from_slice(stream.bytes(entry.stored - data.len() as u64)?);
        }
        self.marks.insert(mark, data);
        Ok(entry.stored)
    }

    fn is_image(&self) -> bool {
        let parts: Vec<(&str, &[u8])> =
            self.marks.iter().map(|(name, data)| (*name, data.as_slice())).collect();
        self.names.allow_image()
            && Layout::of_memory(&parts).is_some_and(|files| ImageFormat::detect(&files).is_some())
    }
}
