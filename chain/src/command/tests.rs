//! What is really wrong with a program that the kernel refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A file in a directory of its own, gone when dropped.
struct Program(PathBuf);

impl Program {
    fn new(name: &str, content: &[u8], mode: u32) -> Self {
        let dir = std::env::temp_dir().join(format!("exec-chain-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Self(path)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// A 64-bit ELF file of this byte order, with one program header that names a loader.
fn elf(machine: u16, loader: &str) -> Vec<u8> {
    let mut file = vec![0; 64 + 56];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[18..20].copy_from_slice(&machine.to_ne_bytes());
    file[32..40].copy_from_slice(&64u64.to_ne_bytes());
    file[54..56].copy_from_slice(&56u16.to_ne_bytes());
    file[56..58].copy_from_slice(&1u16.to_ne_bytes());
    file[64..68].copy_from_slice(&3u32.to_ne_bytes());
    file[72..80].copy_from_slice(&120u64.to_ne_bytes());
    file[96..104].copy_from_slice(&(loader.len() as u64 + 1).to_ne_bytes());
    file.extend_from_slice(loader.as_bytes());
    file.push(0);
    file
}

fn foreign_machine() -> u16 {
    if elf::native_machine() == 183 { 62 } else { 183 }
}

#[test]
fn a_foreign_program_that_lacks_only_its_emulator_is_told_from_one_without_a_loader() {
    let foreign = foreign_machine();
    let program = Program::new("emulated", &elf(foreign, "/bin/sh"), 0o755);
    assert_eq!(diagnose(&program.0, Errno::ENOENT), ExecFailure::Emulator(elf::machine_name(foreign)));
}

#[test]
fn our_tools_go_before_the_one_that_changes_the_root() {
    let hint =
        |name: &str| Command::shell(name.into()).inside(Path::new("r")).not_found_hint("chroot-rs").unwrap();
    let link = "cgexec-rs is not in the new root: run it before chroot-rs: 'cgexec-rs -- chroot-rs ...'";
    assert_eq!(hint("cgexec-rs"), link);
    assert_eq!(hint("rootfs-fetch"), "rootfs-fetch is not in the new root: run it before chroot-rs");
    assert!(hint("true").starts_with("it is not in any directory of PATH inside \"r\": "));
}

#[test]
fn a_missing_loader_is_named() {
    let program = Program::new("loader", &elf(elf::native_machine(), "/lib/ld-nope.so.1"), 0o755);
    assert_eq!(diagnose(&program.0, Errno::ENOENT), ExecFailure::Loader("/lib/ld-nope.so.1".into()));
}

#[test]
fn a_foreign_machine_is_named() {
    let foreign = foreign_machine();
    let program = Program::new("foreign", &elf(foreign, "/lib/ld.so"), 0o755);
    assert_eq!(diagnose(&program.0, Errno::ENOEXEC), ExecFailure::Machine(elf::machine_name(foreign)));
}

#[test]
fn a_cut_off_program_is_no_script() {
    let program = Program::new("cut", &elf(183, "/lib/ld.so")[..10], 0o755);
    assert_eq!(diagnose(&program.0, Errno::ENOEXEC), ExecFailure::Because("it is cut off"));
}

#[test]
fn a_table_that_points_nowhere_is_survived() {
    let mut file = elf(elf::native_machine(), "/lib/ld.so");
    file[32..40].copy_from_slice(&u64::MAX.to_ne_bytes());
    let program = Program::new("nowhere", &file, 0o755);
    assert_eq!(diagnose(&program.0, Errno::ENOENT), ExecFailure::Unknown);
}

#[test]
fn a_missing_interpreter_is_named_with_its_carriage_return() {
    let program = Program::new("perl", b"#! /nope/perl -w\n", 0o755);
    assert_eq!(diagnose(&program.0, Errno::ENOENT), ExecFailure::Interpreter("/nope/perl".into()));
    let program = Program::new("windows", b"#!/bin/sh\r\necho\r\n", 0o755);
    assert_eq!(diagnose(&program.0, Errno::ENOENT), ExecFailure::Interpreter("/bin/sh\r".into()));
}

#[test]
fn text_without_an_interpreter_belongs_to_the_shell() {
    let program = Program::new("text", b"echo hello\n", 0o755);
    assert_eq!(diagnose(&program.0, Errno::ENOEXEC), ExecFailure::Script);
    let program = Program::new("empty", b"", 0o755);
    assert_eq!(diagnose(&program.0, Errno::ENOEXEC), ExecFailure::Because("it is empty"));
    let program = Program::new("binary", b"\0\0\0", 0o755);
    assert_eq!(diagnose(&program.0, Errno::ENOEXEC), ExecFailure::Unknown);
}

#[test]
fn what_may_not_be_run_says_why() {
    let program = Program::new("plain", b"#!/bin/sh\n", 0o644);
    assert_eq!(diagnose(&program.0, Errno::EACCES), ExecFailure::Because("it is not executable"));
    assert_eq!(diagnose(Path::new("/"), Errno::EACCES), ExecFailure::Because("it is a directory"));
}

#[test]
fn an_interpreter_that_may_not_be_run_is_named() {
    let script = Program::new("helper", b"#!/etc/passwd\n", 0o755);
    assert_eq!(diagnose(&script.0, Errno::EACCES), ExecFailure::Helper("/etc/passwd".into()));
}

#[test]
fn a_name_with_a_slash_is_not_searched_for() {
    let command = Command::from_operands(vec!["./x".into(), "y".into()]).unwrap();
    assert_eq!(command.candidates(), [PathBuf::from("./x")]);
}

#[test]
fn what_is_no_file_is_named_and_never_waited_for() {
    let dir = std::env::temp_dir().join(format!("exec-chain-{}-no-file", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let fifo = dir.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let socket = dir.join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let whats = [&fifo, &socket, &dir].map(|place| diagnose(place, Errno::EACCES));
    let unknown = diagnose(&fifo, Errno::ENOEXEC);
    drop(listener);
    std::fs::remove_dir_all(&dir).unwrap();
    let because = |what| ExecFailure::Because(what);
    assert_eq!(whats, [because("it is a FIFO"), because("it is a socket"), because("it is a directory")]);
    assert_eq!(unknown, ExecFailure::Unknown);
}
