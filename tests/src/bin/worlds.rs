//! `worlds run WORLD [PAGE...]` runs the sessions of a world where it is started: all, or those of pages with
//! these prefixes. `worlds check LOG...` compares the logs with what is known, and prints a line for each
//! world.

use std::env;
use std::fs;
use std::process::ExitCode;

use tests::worlds::known::expected;
use tests::worlds::list::{WORLDS, World};
use tests::worlds::seen::Seen;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", name] => run(name, &[""]),
        ["run", name, ref pages @ ..] => run(name, pages),
        ["check", ref logs @ ..] => check(logs),
        _ => {
            eprintln!("worlds: usage: worlds run WORLD [PAGE...] | worlds check LOG...");
            ExitCode::from(2)
        }
    }
}

fn run(name: &str, pages: &[&str]) -> ExitCode {
    let Some(world) = World::named(name) else {
        eprintln!("worlds: no world {name}");
        return ExitCode::from(2);
    };
    world.run(pages, |line| println!("{line}"));
    ExitCode::SUCCESS
}

fn check(logs: &[&str]) -> ExitCode {
    let mut seen = Seen::default();
    for log in logs {
        match fs::read(log) {
            Ok(text) => String::from_utf8_lossy(&text).lines().for_each(|line| seen.line(line)),
            Err(why) => eprintln!("worlds: {log}: {why}"),
        }
    }
    let expected = expected();
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    println!("\nrunning {} tests", WORLDS.len());
    for world in WORLDS {
        if !seen.has(world) {
            ignored += 1;
            println!("test world {} ... ignored", world.name);
            continue;
        }
        let surprises = seen.surprises(world, &expected);
        let how = if surprises.is_empty() { "ok" } else { "FAILED" };
        println!("test world {} ... {how}", world.name);
        for surprise in &surprises {
            println!("  {}: {surprise}", world.name);
        }
        if surprises.is_empty() { passed += 1 } else { failed += 1 }
    }
    for session in seen.flaky() {
        println!("flaky session: {session}");
    }
    let how = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {how}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out"
    );
    ExitCode::from(u8::from(failed > 0))
}
