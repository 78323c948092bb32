//! The heap of a tool that is built with musl: a bump allocator over 256 KiB that falls back to malloc.
//!
//! A link lives for a moment and becomes another program, which throws its memory away as a
//! whole. musl's malloc is made for long lives: it asks the kernel for each few pages by a call
//! of their own, and that was two thirds of what a link cost beyond the C library's start. Here nothing
//! is looked for, and only the block that was taken last makes room again. What does
//! not fit comes from malloc, so a parent that stays cannot run out.
//! glibc's malloc touches fewer pages than this does, and stays.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes, of which only the pages that are used are ever there.
const SIZE: usize = 256 * 1024;
const PAGE: usize = 4096;

/// An allocator for `#[global_allocator]`.
#[derive(Debug)]
#[repr(align(4096))]
pub struct Heap {
    memory: UnsafeCell<[u8; SIZE]>,
    /// Where the free rest begins.
    used: AtomicUsize,
}

// SAFETY: each part of the memory is handed out once: `used` only moves by compare-and-exchange.
unsafe impl Sync for Heap {}

impl Heap {
    /// All of it free.
    pub const fn new() -> Self {
        Self { memory: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) }
    }

    fn start(&self) -> *mut u8 {
        self.memory.get().cast()
    }

    /// Where a block begins, if it is one of ours.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        let offset = block.addr().wrapping_sub(self.start().addr());
        (offset < SIZE).then_some(offset)
    }

    /// Takes a block from the free rest.
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

    /// Moves the end of the block that was taken last; no other block's can be moved.
    fn move_end(&self, from: usize, to: usize) -> bool {
        to <= SIZE && self.used.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: blocks are aligned, do not overlap and stay where they are until they are given back;
// what is not ours goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some(block) => block,
            // SAFETY: the caller keeps the rules of this function, which are the same.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset(block) {
            // the last one makes room again, any other is left
            Some(begin) => {
                self.move_end(begin.wrapping_add(layout.size()), begin);
            }
            // SAFETY: it is not ours, so it came from there.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(begin) = self.offset(block) else {
            // SAFETY: it is not ours, so it came from there.
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
            // SAFETY: both are at least this long, and the new one is another.
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
            // SAFETY: it was just taken.
            unsafe { heap.dealloc(block, layout) };
            assert_eq!(alloc(&heap, 100, align).0, block);
        }
    }

    #[test]
    fn a_block_that_is_not_the_last_stays_whole() {
        let heap = Box::new(Heap::new());
        let (first, layout) = alloc(&heap, 48, 8);
        let (second, _) = alloc(&heap, 48, 8);
        // SAFETY: it was just taken.
        unsafe { heap.dealloc(first, layout) };
        let (third, _) = alloc(&heap, 48, 8);
        let offsets = [first, second, third].map(|block| heap.offset(block).unwrap());
        assert_eq!(offsets, [0, 48, 96]);
    }

    #[test]
    fn what_grows_keeps_its_bytes_and_what_does_not_fit_comes_from_malloc() {
        let heap = Box::new(Heap::new());
        let (mut block, mut layout) = alloc(&heap, 10, 1);
        // SAFETY: the block is 10 bytes long and ours.
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
