//! The layers of an image in order; later ones are decoded ahead.
//!
//! Layers are applied one after the other, by one thread, and one thread decodes a layer. While one layer is
//! applied, the next ones are decoded, one per additional processor, as far as their chunks of memory allow.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::slice;
use std::thread;

use crate::archive::stream::{SizeLimit, Stream};
use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::oci::image::{Image, Layers};
use crate::oci::model::Layer;

/// The maximum number of layers that are decoded ahead.
const MAX_AHEAD: usize = 7;

/// The decoded bytes of each layer, the lowest first.
#[derive(Debug)]
pub struct LayerStreams<'a> {
    limit: SizeLimit,
    interrupt: &'a Interrupt,
    layers: Layers<'a>,
    todo: slice::Iter<'a, Layer>,
    ahead: VecDeque<(&'a Layer, Stream)>,
    max_ahead: usize,
}

impl<'a> LayerStreams<'a> {
    /// No layer is read yet; more than `max_bytes` bytes of all are refused.
    pub fn new(image: &'a Image, layers: Layers<'a>, max_bytes: u64, interrupt: &'a Interrupt) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let max_ahead = (processors - 1).min(MAX_AHEAD);
        let limit = SizeLimit::new(max_bytes);
        Self { limit, interrupt, layers, todo: image.layers().iter(), ahead: VecDeque::new(), max_ahead }
    }

    /// Starts on the layers after `current`, which is read from `current_stream`.
    fn start_ahead(&mut self, current: &Layer, current_stream: &mut Stream) {
        while self.ahead.len() < self.max_ahead {
            let mut rest = self.todo.clone();
            let Some(next) = rest.next() else { break };
            // a repeated layer must be fetched again, because its file is removed after the first time
            if next == current || self.ahead.iter().any(|(layer, _)| *layer == next) {
                break;
            }
            // a failure now is ignored: the layer is opened again when it is its turn
            let Ok(mut stream) = self.open(next) else { break };
            stream.decode_ahead(current_stream);
            self.ahead.push_back((next, stream));
            self.todo = rest;
        }
    }

    fn open(&self, layer: &Layer) -> Result<Stream> {
        let bytes = self.layers.open(layer)?;
        Stream::start(bytes, layer.content.clone(), self.limit.clone(), self.interrupt)
            .map(Stream::known_to_be_whole)
    }
}

impl<'a> Iterator for LayerStreams<'a> {
    type Item = (&'a Layer, Result<Stream>);

    fn next(&mut self) -> Option<Self::Item> {
        let (layer, mut stream) = match self.ahead.pop_front() {
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
        if let Ok(stream) = &mut stream {
            self.start_ahead(layer, stream);
        }
        Some((layer, stream))
    }
}
