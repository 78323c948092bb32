//! The heap of a tool built with musl: a bump allocator over 256 KiB that falls back to malloc.
//!
//! A link lives for a moment and then becomes another program, which discards all its memory. musl's malloc
//! is made for long-lived programs: it makes a system call for every few pages, which was two thirds of the
//! cost of a link beyond the C library's start. This allocator searches nothing, and only the last block can
//! be freed. What does not fit comes from malloc, so a supervisor cannot run out of memory.
//! The glibc builds keep glibc's malloc, which touches fewer pages than this allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// In bytes. Only the pages that are used take memory.
const SIZE: usize = 256 * 1024;
const PAGE: usize = 4096;

/// An allocator for `#[global_allocator]`.
#[derive(Debug)]
#[repr(align(4096))]
pub struct Heap {
    memory: UnsafeCell<[u8; SIZE]>,
    /// The offset of the free rest.
    used: AtomicUsize,
}

// SAFETY: each part of the memory is handed out once: `used` only changes by compare-and-exchange.
unsafe impl Sync for Heap {}

impl Heap {
    /// A heap with everything free.
    pub const fn new() -> Self {
        Self { memory: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) }
    }

    fn start(&self) -> *mut u8 {
        self.memory.get().cast()
    }

    /// The offset of a block, if it is in this heap.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        let offset = block.addr().wrapping_sub(self.start().addr());
        (offset < SIZE).then_some(offset)
    }

    /// Allocates a block from the free rest.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.align() > PAGE {
            return None;
        }
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let begin = used.checked_next_multiple_of(layout.align())?;
            let end = begin.checked_add(layout.size()).filter(|end| *end <= SIZE)?;
            match self.used.compare_exchange_weak(used, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(self.start().wrapping_add(begin)),
                Err(other) => used = other,
            }
        }
    }

    /// Moves the end of the last block. No other block can change its size.
    fn move_end(&self, from: usize, to: usize) -> bool {
        to <= SIZE && self.used.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: blocks are aligned, do not overlap and do not move until they are freed; all other blocks go to the
// system's allocator unchanged.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some(block) => block,
            // SAFETY: the caller keeps this function's rules, which are the same.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset(block) {
            // the last block is freed, any other is left
            Some(begin) => {
                self.move_end(begin.wrapping_add(layout.size()), begin);
            }
            // SAFETY: the block is not in this heap, so it is from the system's allocator.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(begin) = self.offset(block) else {
            // SAFETY: the block is not in this heap, so it is from the system's allocator.
            return unsafe { System.realloc(block, layout, size) };
        };
        let moved =
            begin.checked_add(size).is_some_and(|end| self.move_end(begin.wrapping_add(layout.size()), end));
        if moved || size <= layout.size() {
            return block;
        }
        // SAFETY: the size does not overflow with this alignment, as the caller guarantees.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the size is not 0, as the caller guarantees.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both blocks are at least this long, and they are different blocks.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size()) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alloc(heap: &Heap, size: usize, align: usize) -> (*mut u8, Layout) {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: no size here is 0.
        (unsafe { heap.alloc(layout) }, layout)
    }

    #[test]
    fn blocks_are_aligned_and_the_last_one_makes_room_again() {
        let heap = Box::new(Heap::new());
        alloc(&heap, 1, 1);
        for align in [2, 16, 64, PAGE] {
            let (block, layout) = alloc(&heap, 100, align);
            assert!(heap.offset(block).is_some_and(|offset| offset % align == 0), "{align}");
            // SAFETY: it was just allocated.
            unsafe { heap.dealloc(block, layout) };
            assert_eq!(alloc(&heap, 100, align).0, block);
        }
    }

    #[test]
    fn a_block_that_is_not_the_last_stays_whole() {
        let heap = Box::new(Heap::new());
        let (first, layout) = alloc(&heap, 48, 8);
        let (second, _) = alloc(&heap, 48, 8);
        // SAFETY: it was just allocated.
        unsafe { heap.dealloc(first, layout) };
        let (third, _) = alloc(&heap, 48, 8);
        let offsets = [first, second, third].map(|block| heap.offset(block).unwrap());
        assert_eq!(offsets, [0, 48, 96]);
    }

    #[test]
    fn what_grows_keeps_its_bytes_and_what_does_not_fit_comes_from_malloc() {
        let heap = Box::new(Heap::new());
        let (mut block, mut layout) = alloc(&heap, 10, 1);
        // SAFETY: the block is 10 bytes long and belongs to this test.
        unsafe { block.write_bytes(7, 10) };
        for (size, another_behind) in [(11, false), (17, true), (5000, true), (1_000_000, false)] {
            // SAFETY: the block has this layout.
            block = unsafe { heap.realloc(block, layout, size) };
            layout = Layout::from_size_align(size, 1).unwrap();
            // SAFETY: the block is longer than 10 bytes, which were written.
            assert_eq!(unsafe { std::slice::from_raw_parts(block, 10) }, [7; 10]);
            if another_behind {
                alloc(&heap, 1, 1);
            }
        }
        assert_eq!(heap.offset(block), None);
        // SAFETY: the block has this layout.
        unsafe { heap.dealloc(block, layout) };
    }
}
