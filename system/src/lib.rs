//! The layer below the tools: system calls, mounts, namespaces, ids, accounts and programs.
//!
//! All code that reads or changes the system, and that knows neither plans nor messages, is here; so is every
//! `unsafe` of the project. `chain` builds plans on it.

pub mod accounts;
pub mod elf;
pub mod free_ids;
pub mod heap;
pub mod idmap;
pub mod mountinfo;
pub mod namespace;
pub mod nss;
pub mod program;
pub mod removal;
pub mod search;
pub mod size;
pub mod status;
pub mod subid;
pub mod sys;
pub mod visibility;
pub mod walk;

/// Makes the C entry point of a tool from its `fn(Vec<OsString>) -> !`.
///
/// std's start-up code never runs, so SIGPIPE, closed descriptors and the signal stack stay as the caller
/// left them for the command.
#[macro_export]
macro_rules! main {
    ($run:path) => {
        #[cfg(target_env = "musl")]
        #[global_allocator]
        static HEAP: $crate::heap::Heap = $crate::heap::Heap::new();

        /// The function that the C library calls; see exec-chain-system's `main!`.
        ///
        /// # Safety
        /// Only the C library calls it, with the process's own arguments.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn main(
            argc: ::core::ffi::c_int,
            argv: *const *const ::core::ffi::c_char,
        ) -> ::core::ffi::c_int {
            // SAFETY: these are the arguments of main().
            let arguments = unsafe { $crate::sys::arguments(argc, argv) };
            $run(arguments)
        }
    };
}
