//! `decisions FILE` asks the filters of its own process about system calls, none of which is made, and prints the errno
//! of each answer. Each line of FILE is a question: `native` or `i386`, the number, and the first two arguments.
//! The caller must have used [`tests::seccomp::answer_questions`].

use std::error::Error;
use std::fs;

use libc::c_long;
use tests::seccomp::QUESTION;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("decisions FILE")?;
    for line in fs::read_to_string(file)?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [table, number, first, second] = words[..] else { return Err(line.into()) };
        let (number, args) = (number.parse()?, [first.parse()?, second.parse()?]);
        let errno = match table {
            "native" => native(number, args),
            "i386" => i386(number, args),
            _ => return Err(line.into()),
        };
        println!("{errno}");
    }
    Ok(())
}

fn native(number: u32, [first, second]: [u64; 2]) -> i32 {
    // SAFETY: the sixth argument makes it a question, so the call is not made.
    let result =
        unsafe { libc::syscall(c_long::from(number), first, second, 0, 0, 0, c_long::from(QUESTION)) };
    assert_eq!(result, -1, "call {number} was made");
    std::io::Error::last_os_error().raw_os_error().unwrap_or_default()
}

/// A 32-bit call, from this 64-bit program.
#[cfg(target_arch = "x86_64")]
fn i386(number: u32, [first, second]: [u64; 2]) -> i32 {
    let result: i32;
    // SAFETY: the sixth argument, in ebp, makes it a question, so the call is not made; rbx and rbp are as before.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "push rbp",
            "mov ebx, r8d",
            "mov ebp, r9d",
            "int 0x80",
            "pop rbp",
            "pop rbx",
            inlateout("eax") number => result,
            inlateout("r8") first => _,
            inlateout("r9") u64::from(QUESTION) => _,
            lateout("r10") _,
            lateout("r11") _,
            in("rcx") second,
            in("rdx") 0,
            in("rsi") 0,
            in("rdi") 0,
        );
    }
    -result
}

#[cfg(not(target_arch = "x86_64"))]
fn i386(_number: u32, _args: [u64; 2]) -> i32 {
    panic!("this processor has no such calls")
}
