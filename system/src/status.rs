//! The status of a process in /proc: proc_pid_status(5).

/// The text of a status file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status(String);

impl Status {
    /// This process's status; empty without /proc.
    pub fn of_this_process() -> Self {
        Self(std::fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    /// Another process's status.
    pub fn of(pid: u32) -> Self {
        Self(std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default())
    }

    /// A status read from elsewhere.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// A field by its name, without the colon.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// A field that is a set of signals or capabilities, in hexadecimal.
    pub fn mask(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.field(name)?, 16).ok()
    }
}
