//! An image's configuration: its command, environment, working directory and user.
//!
//! The file is the one that `rootfs-fetch --config` writes. It is read only on request.
//!
//! # Source
//! image-spec's config.md; the precedence is docker's: moby, daemon/commit.go, `merge`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use chain::Failure;
use chain::reporter::quoted;
use serde_json::Value;
use system::accounts::{AccountFiles, number};

use crate::credentials::CredentialOptions;
use crate::environment::{Environment, Variable};

/// The most that is read: registries do not accept longer configurations.
const MAX_BYTES: u64 = 4 << 20;

/// docker's PATH for an image without one.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const HINT: &str = "'rootfs-fetch --config FILE docker://ubuntu ubuntu-fs' writes one";

/// The options about images and the environment.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ImageOptions {
    /// Use the image's command, environment, working directory and user, from the FILE that rootfs-fetch
    /// --config wrote; COMMAND replaces its Cmd
    #[arg(long, value_name = "FILE", conflicts_with = "skip_chdir")]
    pub image_config: Option<PathBuf>,

    /// Run PROGRAM instead of the image's Entrypoint and Cmd; empty for COMMAND alone
    #[arg(long, value_name = "PROGRAM", requires = "image_config")]
    pub entrypoint: Option<OsString>,

    /// Set a variable for COMMAND, or pass on the caller's value; repeatable
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = crate::environment::parser())]
    pub env: Vec<Variable>,
}

/// The parts of a configuration that a run needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    entrypoint: Vec<OsString>,
    cmd: Vec<OsString>,
    env: Vec<String>,
    user: String,
    working_dir: String,
    /// Facts about the image that change nothing here, one line each.
    pub notes: Vec<String>,
}

/// The user of the image's command, in the form of `--userspec` and `--groups`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUser {
    pub userspec: OsString,
    /// For a named group, docker sets no supplementary groups.
    pub groups: Option<OsString>,
}

impl ImageUser {
    /// Root by default. As in docker, a number without an account has group 0.
    fn read(named: &str, accounts: &AccountFiles) -> Self {
        let (user, group) = named.split_once(':').unwrap_or((named, ""));
        let user = if user.is_empty() { "0" } else { user };
        if !group.is_empty() {
            return Self { userspec: format!("{user}:{group}").into(), groups: Some(group.into()) };
        }
        let id = number(user.as_bytes());
        let is_known =
            accounts.user(user.as_bytes()).is_some() || id.is_some_and(|uid| accounts.user_of(uid).is_some());
        if is_known || id.is_none() {
            return Self { userspec: user.into(), groups: None };
        }
        Self { userspec: format!("{user}:0").into(), groups: Some("0".into()) }
    }
}

impl Image {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, is not JSON, or has a field with an unexpected form.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
        if let Err(why) = read {
            let why =
                chain::reporter::ErrnoText(nix::errno::Errno::from_raw(why.raw_os_error().unwrap_or(0)));
            return Err(Failure::new(format!("cannot read {}: {why}", quoted(path))).hint(HINT));
        }
        Self::parse(&text).map_err(|why| {
            Failure::new(format!("{} is not an image configuration: {why}", quoted(path))).hint(HINT)
        })
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Value = serde_json::from_slice(text).map_err(|why| format!("it is not JSON: {why}"))?;
        if !document.is_object() {
            return Err("it is not an object".to_string());
        }
        let config = document.get("config").unwrap_or(&Value::Null);
        if !config.is_object() && !config.is_null() {
            return Err("its \"config\" is not an object".to_string());
        }
        let words = |key| words(config, key).map(|words| words.into_iter().map(OsString::from).collect());
        Ok(Self {
            entrypoint: words("Entrypoint")?,
            cmd: words("Cmd")?,
            env: self::words(config, "Env")?,
            user: text_of(config, "User")?,
            working_dir: text_of(config, "WorkingDir")?,
            notes: notes(config),
        })
    }

    /// The command: the image's own, changed by `--entrypoint` and COMMAND.
    ///
    /// # Errors
    /// There is no command.
    pub fn command(
        &self,
        entrypoint: Option<&OsStr>,
        command: Vec<OsString>,
    ) -> Result<Vec<OsString>, Failure> {
        let (mut argv, cmd) = match entrypoint {
            // another Entrypoint also drops Cmd, which was meant for the first
            Some(program) if program.is_empty() => (Vec::new(), &[][..]),
            Some(program) => (vec![program.to_owned()], &[][..]),
            None => (self.entrypoint.clone(), self.cmd.as_slice()),
        };
        if command.is_empty() {
            argv.extend_from_slice(cmd)
        } else {
            argv.extend(command)
        }
        if argv.first().is_none_or(|program| program.is_empty()) {
            return Err(Failure::new("the image has no command, and none was given")
                .hint("chroot-rs --image-config FILE ubuntu-fs /bin/sh"));
        }
        Ok(argv)
    }

    /// Sets options that the user did not give to the image's values.
    pub fn fill_in(
        &self,
        credentials: &mut CredentialOptions,
        workdir: &mut Option<PathBuf>,
        accounts: &AccountFiles,
    ) {
        // a user that replaces the image's follows the same rules
        let named = credentials.userspec.as_ref().map_or(Some(self.user.as_str()), |named| named.to_str());
        if let Some(ImageUser { userspec, groups }) = named.map(|named| ImageUser::read(named, accounts)) {
            credentials.userspec = Some(userspec);
            credentials.groups = credentials.groups.take().or(groups);
        }
        *workdir = workdir.take().or_else(|| self.workdir());
    }

    /// The image's working directory, an absolute path.
    pub fn workdir(&self) -> Option<PathBuf> {
        (!self.working_dir.is_empty()).then(|| Path::new("/").join(&self.working_dir))
    }

    /// The complete environment of the image's command: of the caller's variables, only TERM.
    pub fn environment(&self, home: &OsStr, notes: &mut Vec<String>) -> Environment {
        let mut environment = Environment::whole();
        environment.set("PATH", USUAL_PATH);
        if let Ok(hostname) = nix::unistd::gethostname() {
            environment.set("HOSTNAME", hostname);
        }
        if let Some(term) = std::env::var_os("TERM") {
            environment.set("TERM", term);
        }
        environment.set("HOME", home);
        for entry in &self.env {
            match entry.split_once('=') {
                Some((name, value)) if !name.is_empty() => environment.set(name, value),
                _ => notes.push(format!("skipped in the image's Env: {}", quoted(entry))),
            }
        }
        environment
    }
}

/// A list of strings; a single string counts as a list, and null as an empty one.
fn words(config: &Value, key: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("its {key} is not a list of strings");
    match config.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(word)) => Ok(vec![word.clone()]),
        Some(Value::Array(list)) => {
            list.iter().map(|word| word.as_str().map(str::to_string).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn text_of(config: &Value, key: &str) -> Result<String, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("its {key} is not a string")),
    }
}

/// Facts about the image for its user.
fn notes(config: &Value) -> Vec<String> {
    let names = |key| {
        let object = config.get(key).and_then(Value::as_object)?;
        let names: Vec<&str> = object.keys().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    // the note contains it in commands to type
    let is_word =
        |signal: &&str| signal.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte));
    let signal =
        config.get("StopSignal").and_then(Value::as_str).filter(|signal| !signal.is_empty()).filter(is_word);
    [
        signal.map(|signal| {
            format!("the image expects {signal} to stop: kill -s {signal}, timeout -s {signal}")
        }),
        names("ExposedPorts").map(|ports| format!("the image listens on {ports}")),
        names("Volumes").map(|paths| format!("the image keeps its data in {paths}: --bind or --tmpfs")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
