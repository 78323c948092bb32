//! The runs of `benches/unpack`: rounds of one tool after another, each into a new directory; then the
//! medians, their ratios, and the goals.
//!
//! Some arguments select something else: `run COMMAND...` prints the time, the peak memory and the processor
//! time of a command; `decode FILE` only decodes, with our libraries; `pairs WORK ROUNDS COMMAND COMMAND`
//! compares two commands that unpack, each with a new directory as its last argument; `files COUNT` and
//! `zeros GIB` write archives of many small files and of files of 1 GiB.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark that fails may say so in the shortest way, and its output is its purpose"
)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tests::tar::Head;

/// The resources of a run.
#[derive(Clone, Copy)]
struct Taken {
    wall: Duration,
    /// The peak memory, in KiB.
    peak: i64,
    /// Processor time, of the user and of the system.
    cpu: Duration,
}

/// A goal: at most this ratio to a peer's time.
#[derive(Clone, Copy)]
struct Goal {
    peer: Peer,
    most: Option<f64>,
}

#[derive(Clone, Copy)]
enum Peer {
    GnuTar,
    Umoci,
    Decoding,
}

/// Each kind of archive, its peers, and whether memory is bounded.
const ROWS: [(&str, &[Goal], bool); 6] = [
    ("plain", &[Goal { peer: Peer::GnuTar, most: None }], true),
    (
        "gzip",
        &[Goal { peer: Peer::GnuTar, most: Some(0.35) }, Goal { peer: Peer::Decoding, most: Some(1.1) }],
        true,
    ),
    ("zstd", &[Goal { peer: Peer::GnuTar, most: Some(0.7) }], true),
    ("xz", &[Goal { peer: Peer::GnuTar, most: Some(0.75) }], true),
    ("xz-blocks", &[Goal { peer: Peer::GnuTar, most: Some(0.5) }], false),
    ("oci", &[Goal { peer: Peer::Umoci, most: Some(0.3) }], true),
];
/// The goal for memory, in KiB.
const MAX_MEMORY_KIB: i64 = 32 * 1024;

fn main() {
    let mut arguments = std::env::args_os().skip(1).filter(|argument| argument != "--bench");
    let first = arguments.next().expect("needs TOOL WORK ROUNDS");
    let rest: Vec<OsString> = arguments.collect();
    match (first.to_str(), rest.as_slice()) {
        (Some("run"), command) => run(command),
        (Some("decode"), [file]) => decode(Path::new(file)),
        (Some("pairs"), [work, rounds, commands @ ..]) => pairs(Path::new(work), number(rounds), commands),
        (Some("files"), [count]) => files(number(count)),
        (Some("zeros"), [gib]) => zeros(number(gib)),
        (_, [work, rounds]) => {
            Bench { tool: first, work: Path::new(work), rounds: number(rounds) }.all();
        }
        _ => panic!("needs TOOL WORK ROUNDS"),
    }
}

fn number(text: &OsString) -> usize {
    text.to_str().and_then(|text| text.parse().ok()).expect("a number")
}

fn run(command: &[OsString]) {
    let (program, arguments) = command.split_first().expect("a command");
    let start = Instant::now();
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status().expect("it starts");
    let wall = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("its usage");
    let cpu = usage.user_time() + usage.system_time();
    println!("{} {} {}", wall.as_micros(), usage.max_rss(), cpu.num_microseconds());
}

fn pairs(work: &Path, rounds: usize, commands: &[OsString]) {
    let mut taken = vec![Vec::new(); commands.len()];
    for round in 0..rounds {
        for (at, command) in commands.iter().enumerate() {
            let to = work.join(format!("pair-{round}-{at}"));
            let words = command.to_str().expect("text").split(' ').map(OsString::from);
            let command: Vec<OsString> = words.chain([to.clone().into()]).collect();
            taken.get_mut(at).expect("one for each").push(measured(work, &command));
            fs::remove_dir_all(to).expect("it is removed");
        }
    }
    let middle = |of: &dyn Fn(&Taken) -> f64, all: &[Taken]| median(all.iter().map(of).collect());
    let wall = |taken: &Taken| taken.wall.as_secs_f64() * 1000.0;
    let cpu = |taken: &Taken| taken.cpu.as_secs_f64() * 1000.0;
    for all in &taken {
        let peak = all.iter().map(|taken| taken.peak).max().unwrap_or(0) as f64 / 1024.0;
        println!("  {:8.1} ms {:8.1} ms of processors {peak:6.1} MiB", middle(&wall, all), middle(&cpu, all));
    }
    if let [one, other] = taken.as_slice() {
        let ratio = |of: &dyn Fn(&Taken) -> f64| {
            median(one.iter().zip(other).map(|(one, other)| of(one) / of(other)).collect())
        };
        println!("  ratio {:.2}, of processor time {:.2}", ratio(&wall), ratio(&cpu));
    }
}

/// An archive of small files, a thousand in each directory.
fn files(count: usize) {
    let mut to = std::io::BufWriter::new(std::io::stdout().lock());
    for number in 0..count {
        let (directory, file) = (number / 1000, number % 1000);
        if file == 0 {
            let head = Head::new(b'5', format!("d{directory}/")).mode(0o755);
            to.write_all(&head.block()).expect("written");
        }
        let head = Head::new(b'0', format!("d{directory}/f{file}")).size(100);
        to.write_all(&head.block()).expect("written");
        to.write_all(&[b'x'; 512]).expect("written");
    }
    to.write_all(&[0; 1024]).expect("written");
}

/// An archive of files of zeros; in a file, only their headers take space.
fn zeros(gib: usize) {
    let mut to =
        File::from(std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned().expect("a file"));
    for number in 0..gib {
        let head = Head::new(b'0', format!("zeros{number}")).size(1 << 30);
        to.write_all(&head.block()).expect("written");
        std::io::Seek::seek(&mut to, std::io::SeekFrom::Current(1 << 30)).expect("a file");
    }
    to.write_all(&[0; 1024]).expect("written");
}

fn decode(file: &Path) {
    let file = File::open(file).expect("an archive");
    let (mut decoded, _) =
        rootfs_fetch::archive::decode::decoded(Box::new(file)).expect("a format that is known");
    let mut buffer = vec![0; 256 * 1024];
    while decoded.read(&mut buffer).expect("decoded") > 0 {}
}

struct Bench<'a> {
    tool: OsString,
    work: &'a Path,
    rounds: usize,
}

impl Bench<'_> {
    fn all(&self) {
        for (name, goals, bounded) in ROWS {
            let mut ours = Vec::new();
            let mut theirs = vec![Vec::new(); goals.len()];
            for round in 0..self.rounds {
                ours.push(self.ours(name, round));
                for (goal, taken) in goals.iter().zip(&mut theirs) {
                    taken.push(self.theirs(goal.peer, name, round));
                }
            }
            for (goal, theirs) in goals.iter().zip(&theirs) {
                reporter(name, goal, &ours, theirs);
            }
            let peak = ours.iter().map(|taken| taken.peak).max().unwrap_or(0);
            let goal = if bounded { verdict(peak < MAX_MEMORY_KIB, "goal under 32") } else { String::new() };
            println!("  {name:10} {:7.1} MiB at most{goal:>44}", peak as f64 / 1024.0);
        }
    }

    fn ours(&self, name: &str, round: usize) -> Taken {
        let to = format!("{name}-ours-{round}");
        let source = if name == "oci" { "oci:oci:1" } else { name };
        let mut command = vec![self.tool.clone()];
        // including device nodes, which the other tools create, too
        let devices = nix::unistd::geteuid().is_root().then_some("--devices");
        let words = devices.into_iter().chain(["-q", source, &to]);
        command.extend(words.map(OsString::from));
        self.measured(&command, &to)
    }

    fn theirs(&self, peer: Peer, name: &str, round: usize) -> Taken {
        let to = format!("{name}-theirs-{round}");
        let rootless = (!nix::unistd::geteuid().is_root()).then_some("--rootless");
        let command: Vec<OsString> = match peer {
            Peer::GnuTar => {
                fs::create_dir(self.work.join(&to)).expect("a directory");
                ["tar", "-C", &to, "--numeric-owner", "-xpf", name].map(OsString::from).into()
            }
            Peer::Umoci => {
                let words = ["umoci", "unpack", "--image", "oci:1"].into_iter();
                words.chain(rootless).chain([to.as_str()]).map(OsString::from).collect()
            }
            Peer::Decoding => {
                let own = std::env::current_exe().expect("our name");
                vec![own.into(), "decode".into(), name.into()]
            }
        };
        self.measured(&command, &to)
    }

    fn measured(&self, command: &[OsString], to: &str) -> Taken {
        let taken = measured(self.work, command);
        self.make_room(to);
        taken
    }

    /// A tmpfs is memory. On a disk, the results are kept until the end, because after many deletions ext4
    /// creates files slowly for a while.
    fn make_room(&self, to: &str) {
        let memory = nix::sys::statfs::statfs(self.work)
            .is_ok_and(|it| it.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC);
        if memory && self.work.join(to).exists() {
            let removed = Command::new("sh")
                .args(["-c", "chmod -R u+rwx \"$0\" 2>/dev/null; rm -rf \"$0\"", to])
                .current_dir(self.work)
                .status();
            assert!(removed.expect("sh starts").success(), "{to} stays");
        }
    }
}

fn measured(work: &Path, command: &[OsString]) -> Taken {
    // the output of earlier runs is on the disk before this run starts
    nix::unistd::sync();
    let own = std::env::current_exe().expect("our name");
    let output = Command::new(own).arg("run").args(command).current_dir(work).output();
    let output = output.expect("we start");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<i64> = said.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    let &[wall, peak, cpu] = numbers.as_slice() else { panic!("three numbers") };
    let time = |microseconds: i64| Duration::from_micros(microseconds.unsigned_abs());
    Taken { wall: time(wall), peak, cpu: time(cpu) }
}

fn reporter(name: &str, goal: &Goal, ours: &[Taken], theirs: &[Taken]) {
    let milliseconds =
        |all: &[Taken]| median(all.iter().map(|taken| taken.wall.as_secs_f64() * 1000.0).collect());
    // the median of the ratios of each round, because other load on the machine slows both
    let ratio = |(ours, theirs): (&Taken, &Taken)| ours.wall.as_secs_f64() / theirs.wall.as_secs_f64();
    let ratio = median(ours.iter().zip(theirs).map(ratio).collect());
    let peer = match goal.peer {
        Peer::GnuTar => "GNU tar",
        Peer::Umoci => "umoci",
        Peer::Decoding => "decoding",
    };
    let said = goal.most.map_or(String::new(), |most| {
        // rounded to the two digits that are shown
        verdict((ratio * 100.0).round() <= most * 100.0, &format!("goal {most}"))
    });
    println!(
        "  {name:10} {:7.1} ms   {peer:8} {:7.1} ms   ratio {ratio:.2}{said:>19}",
        milliseconds(ours),
        milliseconds(theirs)
    );
}

fn verdict(reached: bool, goal: &str) -> String {
    format!("  {goal}: {}", if reached { "yes" } else { "NO" })
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    let middle = all.len() / 2;
    match (all.get(middle), all.len() % 2) {
        (Some(&value), 1) => value,
        (Some(&above), _) => (above + all.get(middle.saturating_sub(1)).unwrap_or(&above)) / 2.0,
        (None, _) => f64::NAN,
    }
}
