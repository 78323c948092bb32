//! A run that makes nothing: it lists what would be made, and ends as the run would.

use chain::Reporter;

use crate::archive::stream::Stream;
use crate::archive::tar::Entry;
use crate::archive::tar::reader::{Reader, skip_rest};
use crate::config::Output;
use crate::destination::Destination;
use crate::failure::{Failure, Kind, Result};
use crate::fetch::Fetch;
use crate::oci::image::{Image, ImageFormat};
use crate::oci::layout::Layout;
use crate::oci::model::MAX_JSON_BYTES;
use crate::progress::Progress;
use crate::source::Source;
use crate::source::input::Input;
use crate::tree::name::Name;
use crate::unpack::listing::Listing;
use crate::unpack::selection::SelectionCounts;
use crate::unpack::{ArchiveKind, check_count, check_entry};

/// The files that tell an image from a root.
const MARKS: [&str; 4] = ["oci-layout", "index.json", "manifest.json", "repositories"];

impl Fetch<'_> {
    /// Prints what would be made.
    ///
    /// # Errors
    /// What the run would end with, as far as that can be known without making anything.
    pub fn list(&self, input: Input) -> Result<()> {
        Destination::check(self.directory, self.config.if_exists)?;
        if self.config.image_config.is_some() && matches!(input, Input::Host(_)) {
            return Err(Failure::new(Kind::Usage, "the host's programs have no configuration"));
        }
        match input {
            Input::Archive(stream, _) => self.list_whole(stream),
            Input::Image(image) => self.list_image(&image),
            Input::Host(plan) => {
                plan.paths().iter().for_each(|path| self.reporter.message(path.display()));
                Ok(())
            }
        }
    }

    fn list_whole(&self, mut stream: Stream) -> Result<()> {
        let mut archive = Listed::of(self, ArchiveKind::Whole);
        archive.list(&mut stream, Reader::default())?;
        let is_image = archive.is_image();
        self.config.policy.selection.check(archive.counts)?;
        if is_image && !matches!(self.source, Source::File(_)) {
            self.reporter.message("this archive is a container image: a run would unpack its layers");
        } else if !is_image && self.config.image_config.is_some() {
            return Err(Failure::damaged("the archive is not an image: it has no configuration"));
        }
        Ok(())
    }

    fn list_image(&self, image: &Image) -> Result<()> {
        let mut archive = Listed::of(self, ArchiveKind::Layer);
        self.layer_streams(image, &Progress::hidden())?.try_for_each(|(layer, stream)| {
            self.reporter.message(format_args!("layer {}", layer.path));
            archive.list(&mut stream?, Reader::of_layer())
        })?;
        self.config.policy.selection.check(archive.counts)
    }
}

/// What was listed so far.
struct Listed<'a> {
    fetch: &'a Fetch<'a>,
    kind: ArchiveKind,
    counts: SelectionCounts,
    /// The files that tell an image from a root, with their contents.
    marks: Vec<(&'static str, Vec<u8>)>,
}

impl<'a> Listed<'a> {
    fn of(fetch: &'a Fetch<'a>, kind: ArchiveKind) -> Self {
        Self { fetch, kind, counts: SelectionCounts::default(), marks: Vec::new() }
    }

    fn list(&mut self, stream: &mut Stream, mut reader: Reader) -> Result<()> {
        let config = self.fetch.config;
        let reporter: &Reporter = self.fetch.reporter;
        while let Some(entry) = reader.next(stream)? {
            self.fetch.interrupt().check()?;
            self.counts.seen += 1;
            check_count(self.counts.seen, config.policy.max_entries)?;
            let name = Name::parse(&entry.raw_name)?;
            if !check_entry(&entry, &name, self.kind)? {
                skip_rest(stream, entry.stored, 0)?;
                continue;
            }
            if let Some(name) = config.policy.selection.select(&name) {
                self.counts.selected += 1;
                if config.output != Output::Quiet {
                    reporter.message(Listing(&entry, &name));
                }
            }
            let used = self.mark(&name, &entry, stream)?;
            skip_rest(stream, entry.stored, used)?;
        }
        Ok(())
    }

    /// Keeps a file that may tell that this is an image; the bytes it has read of it.
    fn mark(&mut self, name: &Name, entry: &Entry, stream: &mut Stream) -> Result<u64> {
        let mark = MARKS.into_iter().find(|mark| mark.as_bytes() == name.bytes());
        let Some(mark) = mark.filter(|_| self.kind == ArchiveKind::Whole && entry.stored <= MAX_JSON_BYTES)
        else {
            return Ok(0);
        };
        let mut data = Vec::new();
        while (data.len() as u64) < entry.stored {
            data.extend_from_slice(stream.bytes(entry.stored - data.len() as u64)?);
        }
        self.marks.push((mark, data));
        Ok(entry.stored)
    }

    fn is_image(&self) -> bool {
        let parts: Vec<(&str, &[u8])> =
            self.marks.iter().map(|(name, data)| (*name, data.as_slice())).collect();
        Layout::of_memory(&parts).is_some_and(|files| ImageFormat::detect(&files).is_some())
    }
}
