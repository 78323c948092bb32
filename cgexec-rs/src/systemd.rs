//! A systemd scope: a group that systemd creates, delegates, and removes when it is empty.
//!
//! cgexec-rs sets limits with files inside the scope, not through systemd: systemd does not touch a delegated
//! group, and silently ignores limits that it cannot set.
//!
//! # Source
//! org.freedesktop.systemd1(5), systemd's docs/CGROUP_DELEGATION.md

use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chain::Failure;
use system::sys;

use crate::dbus::wire::MethodCall;
use crate::dbus::{Body, Connection, Error};
use crate::hierarchy::Hierarchy;
use crate::outer_user::outer_user;
use crate::{refusal, unit_group};

/// Systemd answers in milliseconds, unless the machine has just started.
const REPLY_TIMEOUT: Duration = Duration::from_secs(25);
const WITHOUT_SYSTEMD: &str = "'--manager cgroupfs' needs no systemd";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const JOB_REMOVED: &str = "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// The systemd instance to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Systemd {
    /// Its sockets, the best first.
    sockets: Vec<PathBuf>,
    /// The user whose instance it is; None for the system's.
    user: Option<u32>,
}

/// A scope to request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Its name, which ends in .scope.
    pub name: String,
    /// Its slice.
    pub slice: String,
    /// The unit whose end also ends the scope.
    pub bound_to: Option<String>,
    /// The maximum number of processes and threads in it; if None, only the slice's limit applies.
    pub tasks_max: Option<u64>,
}

impl Systemd {
    /// The systemd that a process in the group `own` can ask: an ordinary user's own, and root's own in one
    /// of its units.
    ///
    /// # Errors
    /// Systemd does not run.
    pub fn find(own: &Path) -> Result<Self, Failure> {
        if !unit_group::is_systemd() {
            return Err(Failure::new("systemd does not run here, or the host's /run is not mounted")
                .hint(WITHOUT_SYSTEMD));
        }
        let Some(uid) = outer_user() else {
            return Err(Failure::new("the user namespaces here hide which user's systemd to ask")
                .hint("run cgexec-rs before the user namespace is created"));
        };
        Ok(match uid != 0 || unit_group::is_of_roots_own_systemd(own) {
            false => Self::of_the_system(),
            true => Self { sockets: user_sockets(uid, |name| std::env::var_os(name)), user: Some(uid) },
        })
    }

    /// The system's instance, to which every process belongs.
    pub fn of_the_system() -> Self {
        let sockets = vec!["/run/systemd/private".into(), "/run/dbus/system_bus_socket".into()];
        Self { sockets, user: None }
    }

    /// Connects to one of its sockets, without a request.
    ///
    /// # Errors
    /// Those of [`Systemd::start`].
    pub fn can_be_asked(&self) -> Result<(), Failure> {
        self.with_a_socket(|_, _| Ok(()))
    }

    /// Requests a scope with this process in it, and waits until it exists.
    ///
    /// # Errors
    /// Systemd creates no scope, or no socket answers.
    pub fn start(&self, scope: &Scope) -> Result<(), Failure> {
        self.with_a_socket(|connection, is_bus| scope.start(connection, is_bus))
    }

    /// The process limit that it gives to each unit; None if there is none, or it does not answer.
    pub fn default_tasks_max(&self) -> Option<u64> {
        self.number("/org/freedesktop/systemd1", MANAGER, "DefaultTasksMax")
    }

    /// Whether a unit may use its group itself. A user's systemd sets no attribute on the group.
    pub fn delegates(&self, unit: &str) -> bool {
        let kind = if unit.ends_with(".scope") { "Scope" } else { "Service" };
        let interface = format!("org.freedesktop.systemd1.{kind}");
        self.number(&object_of(unit), &interface, "Delegate") == Some(1)
    }

    /// A property of an object, if it is a number.
    fn number(&self, path: &str, interface: &str, name: &str) -> Option<u64> {
        let mut found = None;
        let ask = |mut connection: Connection, is_bus: bool| {
            if is_bus {
                connection.join_bus(JOB_REMOVED)?;
            }
            let mut body = Body::default();
            body.text(interface).text(name);
            let call = MethodCall {
                interface: "org.freedesktop.DBus.Properties",
                member: "Get",
                signature: "ss",
                path,
                ..call_of_manager(is_bus)
            };
            found = Some(connection.call(call, &body)?.number()?);
            Ok(())
        };
        // if this request fails, the one for a scope fails as well, with a message
        self.with_a_socket(ask).ok()?;
        found
    }

    fn with_a_socket(
        &self,
        mut talk: impl FnMut(Connection, bool) -> Result<(), Error>,
    ) -> Result<(), Failure> {
        let mut tried: Vec<String> = Vec::new();
        for socket in self.sockets.iter().filter(|socket| socket.exists()) {
            // systemd's private socket is not a bus
            let is_bus = !socket.ends_with("systemd/private");
            match Connection::open(socket, REPLY_TIMEOUT).and_then(|connection| talk(connection, is_bus)) {
                Ok(()) => return Ok(()),
                Err(error @ Error::Refused(..)) => {
                    return Err(Failure::new(format!("{} created no scope: {error}", self.whose()))
                        .hint("'--manager cgroupfs' needs no systemd, but a group of your own"));
                }
                Err(error) => tried.push(format!("{}: {error}", socket.display())),
            }
        }
        let why = |otherwise: &str| if tried.is_empty() { otherwise.to_string() } else { tried.join("; ") };
        let Some(user) = self.user else {
            let why = why("it has no socket in /run");
            return Err(Failure::new(format!("systemd cannot be reached: {why}")).hint(WITHOUT_SYSTEMD));
        };
        let why = why("it does not run, or its socket is not visible here");
        Err(Failure::new(format!("user {user} has no systemd that can be asked for a scope: {why}")).hint(format!(
            "loginctl enable-linger {user} starts one permanently, a login by ssh or machinectl until logout"
        )))
    }

    /// Its name in messages.
    pub fn whose(&self) -> String {
        self.user.map_or_else(|| "systemd".to_string(), |user| format!("the systemd of user {user}"))
    }

    /// Its own group: a scope cannot have a controller that this group lacks.
    pub fn group(&self, mount: &Path) -> PathBuf {
        match self.user {
            None => mount.to_path_buf(),
            Some(uid) => mount.join(format!("user.slice/user-{uid}.slice/user@{uid}.service")),
        }
    }

    /// The controllers that a scope can have.
    pub fn controllers(&self, v2: &Hierarchy) -> Vec<String> {
        let file = self.group(&v2.mount).join("cgroup.controllers");
        let text = sys::read(&file.display().to_string()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let names = text.split_whitespace().filter(|name| refusal::SYSTEMDS.contains(name));
        names.map(str::to_string).collect()
    }

    /// The slice for scopes, unless systemd is configured otherwise.
    pub fn slice(&self) -> PathBuf {
        match self.user {
            None => "system.slice".into(),
            Some(uid) => format!("user.slice/user-{uid}.slice/user@{uid}.service/app.slice").into(),
        }
    }
}

impl Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, slice, bound_to, tasks_max } = self;
        write!(f, "StartTransientUnit(\"{name}\", \"fail\", [PIDs=[0], Delegate=true, Slice={slice}, ")?;
        if let Some(unit) = bound_to {
            write!(f, "BindsTo=[{unit}], After=[{unit}], ")?;
        }
        match tasks_max {
            Some(most) => write!(f, "TasksMax={most}, ")?,
            None => f.write_str("TasksMax=infinity, ")?,
        }
        f.write_str("CollectMode=inactive-or-failed])")
    }
}

impl Scope {
    /// # Errors
    /// Those of the connection, or the job's result if that is not "done".
    pub fn start(&self, mut connection: Connection, bus: bool) -> Result<(), Error> {
        if bus {
            // before the call, so that the signal is not missed
            connection.join_bus(JOB_REMOVED)?;
        }
        let mut body = Body::default();
        body.text(&self.name).text("fail").array(8, |properties| {
            // 0 means the calling process, even if it has another id in its own namespace
            properties.property("PIDs", "au", |value| value.array(4, |pids| pids.u32(0)));
            properties.property("Delegate", "b", |value| value.boolean(true));
            properties.property("Slice", "s", |value| value.text(&self.slice));
            if let Some(unit) = &self.bound_to {
                properties.property("BindsTo", "as", |value| value.array(4, |units| units.text(unit)));
                // so that it is stopped before the unit is, not after
                properties.property("After", "as", |value| value.array(4, |units| units.text(unit)));
            }
            properties.property("TasksMax", "t", |value| value.u64(self.tasks_max.unwrap_or(u64::MAX)));
            properties.property("CollectMode", "s", |value| value.text("inactive-or-failed"));
            properties.property("Description", "s", |value| value.text("A command of cgexec-rs"))
        });
        body.array(8, |none| none);
        let call = MethodCall {
            member: "StartTransientUnit",
            signature: "ssa(sv)a(sa(sv))",
            ..call_of_manager(bus)
        };
        let job = connection.call(call, &body)?.texts()?.into_iter().next();
        let job = job.ok_or(Error::Malformed("it names no job"))?;
        let result = connection.signal(|signal| {
            let texts = signal.texts().ok().filter(|_| signal.member == "JobRemoved")?;
            // u id, o job, s unit, s result
            (texts.first() == Some(&job)).then(|| texts.get(2).cloned().unwrap_or_default())
        })?;
        match result.as_str() {
            "done" => Ok(()),
            result => Err(Error::Refused(format!("job {result}"), format!("{} did not start", self.name))),
        }
    }
}

/// The object of a unit: all characters of its name except letters and digits are escaped as numbers, and so
/// is a leading digit.
fn object_of(unit: &str) -> String {
    let mut path = "/org/freedesktop/systemd1/unit/".to_string();
    for (at, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

/// A call of the manager, still without its method.
fn call_of_manager(bus: bool) -> MethodCall<'static> {
    MethodCall {
        destination: bus.then_some("org.freedesktop.systemd1"),
        path: "/org/freedesktop/systemd1",
        interface: MANAGER,
        member: "",
        signature: "",
    }
}

/// The sockets of a user's systemd: sudo, su and cron remove the variables, but the sockets stay.
fn user_sockets(uid: u32, variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Vec<PathBuf> {
    let mut sockets = Vec::new();
    let address = variable("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
    for part in address.as_bytes().split(|byte| *byte == b';') {
        let path = part.strip_prefix(b"unix:path=").and_then(|path| path.split(|byte| *byte == b',').next());
        sockets.extend(path.map(|path| PathBuf::from(OsStr::from_bytes(path))));
    }
    let own = variable("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    for dir in own.into_iter().chain([Path::new("/run/user").join(uid.to_string())]) {
        for socket in ["bus", "systemd/private"] {
            let socket = dir.join(socket);
            if !sockets.contains(&socket) {
                sockets.push(socket);
            }
        }
    }
    sockets
}

#[cfg(test)]
mod tests;
