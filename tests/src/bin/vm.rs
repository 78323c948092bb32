//! `vm [--system DIRECTORY] [--one-processor] [--v1|--without-memory] KERNEL TOOLS -- WHO PROGRAM [ARG]... [-- WHO PROGRAM [ARG]...]...`
//!
//! Boots KERNEL, with the tools in the directory TOOLS, and runs each test PROGRAM as
//! WHO (root, user or delegated). Ends with 0 if all of them did. With --v1 the machine has
//! control groups of version 1 alone; with --without-memory its kernel has no memory controller. With --system it has the
//! programs of the system below DIRECTORY, which can be for another processor, like KERNEL and the tools.
//! It has two processors, or with --one-processor one.
//!
//! `vm --disk IMAGE KERNEL TOOLS [-- WORD]...` boots KERNEL with the disk of `tests/worlds/image` and the
//! scripts in `tests/worlds`. The words are added to the kernel's command line.

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tests::machine::Machine;
use tests::vm::{Hierarchies, Vm, Who};

/// Emulation takes about ten times as long as the host itself.
const MACHINE_TIMEOUT: Duration = Duration::from_secs(30 * 60);

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [disk, image, kernel, tools, words @ ..] = args.as_slice()
        && disk == "--disk"
    {
        return boot_disk(Path::new(image), Path::new(kernel), Path::new(tools), words);
    }
    let (system, args) = match args.as_slice() {
        [option, system, rest @ ..] if option == "--system" => (system.as_str(), rest),
        all => ("/", all),
    };
    let (one_processor, args) = match args {
        [option, rest @ ..] if option == "--one-processor" => (true, rest),
        all => (false, all),
    };
    let mut parts = args.split(|arg| arg == "--");
    let (hierarchies, kernel, tools) = match parts.next() {
        Some([option, kernel, tools]) if option == "--v1" => (Hierarchies::V1, kernel, tools),
        Some([option, kernel, tools]) if option == "--without-memory" => {
            (Hierarchies::WithoutMemory, kernel, tools)
        }
        Some([kernel, tools]) => (Hierarchies::V2, kernel, tools),
        _ => {
            eprintln!(
                "vm: usage: vm [--system DIRECTORY] [--one-processor] [--v1|--without-memory] KERNEL TOOLS \
                -- WHO PROGRAM [ARG]... [-- ...]"
            );
            return ExitCode::from(2);
        }
    };
    let mut vm = Vm::new(Path::new(kernel), Path::new(system), hierarchies);
    if one_processor {
        vm.one_processor();
    }
    for tool in
        ["unshare-rs", "cgexec-rs", "chroot-rs", "rootfs-fetch", "report", "escape", "decisions", "ways_out"]
    {
        vm.tool(&Path::new(tools).join(tool));
    }
    // crun is for tests/benches/start-limited
    for program in ["strace", "newuidmap", "newgidmap", "bash", "setpriv", "prlimit", "choom", "crun"] {
        vm.program(program);
    }
    for job in parts {
        let [who, program, args @ ..] = job else {
            eprintln!("vm: a job is WHO PROGRAM [ARG]...");
            return ExitCode::from(2);
        };
        let who = match who.as_str() {
            "root" => Who::Root,
            "user" => Who::User,
            "delegated" => Who::Delegated,
            _ => {
                eprintln!("vm: who is {who:?}? root, user or delegated");
                return ExitCode::from(2);
            }
        };
        let program = fs::canonicalize(program).unwrap_or_else(|_| program.into());
        vm.job(who, &program, args);
    }
    match vm.boot(MACHINE_TIMEOUT, |line| println!("{line}")) {
        Ok(statuses) => ExitCode::from(u8::from(statuses.iter().any(|status| *status != 0))),
        Err(why) => {
            eprintln!("vm: {why}");
            ExitCode::FAILURE
        }
    }
}

fn boot_disk(image: &Path, kernel: &Path, tools: &Path, words: &[String]) -> ExitCode {
    let mut machine = Machine::new(kernel, image);
    for tool in
        ["unshare-rs", "cgexec-rs", "chroot-rs", "rootfs-fetch", "report", "escape", "ways_out", "worlds"]
    {
        machine.tool(&tools.join(tool));
    }
    // test programs, if tests/run has put them there
    for program in ["images", "systemd_inside", "ways_out_test"].map(|name| tools.join(name)) {
        if program.is_file() {
            machine.tool(&program);
        }
    }
    let scripts =
        fs::read_dir("tests/worlds").expect("the scripts of tests/worlds, below the working directory");
    for script in scripts.flatten().filter(|script| script.path().extension().is_some_and(|end| end == "sh"))
    {
        machine.file(&script.file_name().to_string_lossy(), &script.path());
    }
    machine.file("again", Path::new("tests/again"));
    for tool in ["unshare-rs", "chroot-rs"] {
        machine.file(&format!("{tool}.apparmor"), &Path::new("dist/apparmor").join(tool));
    }
    for word in words.iter().filter(|word| *word != "--") {
        machine.words(word);
    }
    match machine.boot(MACHINE_TIMEOUT, |line| println!("{line}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("vm: {why}");
            ExitCode::FAILURE
        }
    }
}
