//! The layers of an image in their order, of which those to come are decoded ahead.
//!
//! Layers are applied one after the other, by one thread, and a layer is decoded by one thread. So while one is
//! applied, those after it are decoded, one for each further processor, as far as their chunks of memory go.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::slice;
use std::thread;

use crate::archive::stream::Stream;
use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::oci::image::{Image, Layers};
use crate::oci::model::Layer;

/// Most layers that are decoded ahead.
const MAX_AHEAD: usize = 7;

/// The decoded bytes of each layer, lowest first.
#[derive(Debug)]
pub struct LayerStreams<'a> {
    max_bytes: u64,
    interrupt: &'a Interrupt,
    layers: Layers<'a>,
    todo: slice::Iter<'a, Layer>,
    ahead: VecDeque<(&'a Layer, Stream)>,
    max_ahead: usize,
}

impl<'a> LayerStreams<'a> {
    /// No layer is read yet; more than `max_bytes` bytes of one are refused.
    pub fn new(image: &'a Image, layers: Layers<'a>, max_bytes: u64, interrupt: &'a Interrupt) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let max_ahead = (processors - 1).min(MAX_AHEAD);
        Self { max_bytes, interrupt, layers, todo: image.layers().iter(), ahead: VecDeque::new(), max_ahead }
    }

    /// Starts on the layers after `current`.
    fn start_ahead(&mut self, current: &Layer) {
        while self.ahead.len() < self.max_ahead {
            let mut rest = self.todo.clone();
            let Some(next) = rest.next() else { break };
            // the same layer again is fetched again, and its file is gone after the first time
            if next == current || self.ahead.iter().any(|(layer, _)| *layer == next) {
                break;
            }
            // what fails now is tried again when it is its turn, and is a failure then
            let Ok(mut stream) = self.open(next) else { break };
            stream.decode_ahead();
            self.ahead.push_back((next, stream));
            self.todo = rest;
        }
    }

    fn open(&self, layer: &Layer) -> Result<Stream> {
        let bytes = self.layers.open(layer)?;
        Stream::start(bytes, layer.content.clone(), self.max_bytes, self.interrupt)
            .map(Stream::known_to_be_whole)
    }
}

impl<'a> Iterator for LayerStreams<'a> {
    type Item = (&'a Layer, Result<Stream>);

    fn next(&mut self) -> Option<Self::Item> {
        let (layer, stream) = match self.ahead.pop_front() {
            Some((layer, mut stream)) => {
                stream.begin();
                (layer, Ok(stream))
            }
            None => {
                let layer = self.todo.next()?;
                (layer, self.open(layer))
            }
        };
        self.layers.begin(layer);
        if stream.is_ok() {
            self.start_ahead(layer);
        }
        Some((layer, stream))
    }
}
