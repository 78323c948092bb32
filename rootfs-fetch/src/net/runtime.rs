//! Runs reqwest's futures on the thread that waits for them.
//!
//! The runtime has no thread of its own. Connections only make progress while a thread waits in
//! [`Runtime::run`], so a reader that stops reading stops its server, too. Several threads can wait at once;
//! one of them then drives all connections.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Kind, Result};
use crate::interrupt::Interrupt;
use crate::net::error::why;

/// How soon a signal is noticed.
const SLICE: Duration = Duration::from_millis(100);

/// An async runtime for blocking callers.
#[derive(Debug)]
pub struct Runtime {
    tokio: tokio::runtime::Runtime,
    interrupt: Interrupt,
}

impl Runtime {
    /// Starts the runtime.
    ///
    /// # Errors
    /// Network, if no descriptor is left for it.
    pub fn new(interrupt: &Interrupt) -> Result<Self> {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Failure::new(Kind::Network, format_args!("cannot use the network: {}", why(&error)))
        })?;
        Ok(Self { tokio, interrupt: interrupt.clone() })
    }

    /// Waits for a future; None if it takes longer than `limit`.
    ///
    /// # Errors
    /// The signal that arrived, as a [`Failure`] in an I/O error.
    pub fn run<F: Future>(&self, future: F, limit: Duration) -> io::Result<Option<F::Output>> {
        let deadline = Instant::now() + limit;
        self.tokio.block_on(async {
            let mut future = pin!(future);
            loop {
                self.interrupt.check().map_err(Failure::into_io)?;
                let left = deadline.saturating_duration_since(Instant::now());
                if let Ok(output) = tokio::time::timeout(left.min(SLICE), &mut future).await {
                    return Ok(Some(output));
                }
                if Instant::now() >= deadline {
                    return Ok(None);
                }
            }
        })
    }
}
