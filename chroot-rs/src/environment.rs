//! The command's variables: an image's, and those of `--env`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use chain::Plan;
use chain::call::{self, Call, Shown};
use chain::handles::Handles;
use chain::reporter::quoted;
use clap::builder::{OsStringValueParser, TypedValueParser};
use nix::errno::Errno;
use system::sys;

/// A variable; without a value, the caller's value is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: OsString,
    pub value: Option<OsString>,
}

/// Parses `NAME[=VALUE]`.
pub fn parser() -> impl TypedValueParser<Value = Variable> {
    OsStringValueParser::new().try_map(Variable::parse)
}

impl Variable {
    fn parse(text: OsString) -> Result<Self, &'static str> {
        let bytes = text.as_bytes();
        let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                let (name, rest) = bytes.split_at_checked(at).unwrap_or((bytes, b""));
                (name, Some(OsString::from_vec(rest.iter().skip(1).copied().collect())))
            }
            None => (bytes, None),
        };
        match name {
            b"" => Err("expected NAME or NAME=VALUE"),
            name => Ok(Self { name: OsStr::from_bytes(name).to_owned(), value }),
        }
    }
}

/// Variables to set, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Whether the command gets no other variables.
    is_whole: bool,
    variables: Vec<(OsString, OsString)>,
}

impl Environment {
    /// An environment without the caller's variables.
    pub fn whole() -> Self {
        Self { is_whole: true, variables: Vec::new() }
    }

    /// Sets a variable. If it exists, it keeps its position.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let (name, value) = (name.into(), value.into());
        match self.variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.variables.push((name, value)),
        }
    }

    /// Adds the variables of `--env`.
    pub fn set_all(&mut self, wanted: &[Variable]) {
        for Variable { name, value } in wanted {
            if let Some(value) = value.clone().or_else(|| std::env::var_os(name)) {
                self.set(name, value);
            }
        }
    }

    /// The value of a variable that is set here.
    #[cfg(test)]
    pub fn value(&self, name: &str) -> Option<&OsStr> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str())
    }

    /// Sets them before the search for the command.
    pub fn plan(self, plan: &mut Plan) {
        if self.is_whole {
            plan.step("clear the environment", call::KeepEnvironment(Vec::new()));
        }
        for (name, value) in self.variables {
            plan.step(format!("set {}", name.display()), SetVariable { name, value });
        }
    }
}

/// Sets a variable: setenv(3). Not a system call, so strace(1) does not show it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SetVariable {
    name: OsString,
    value: OsString,
}

impl Call for SetVariable {
    fn shown(&self) -> Shown {
        Shown::new(format!("setenv({}, {}, 1)", quoted(&self.name), quoted(&self.value)), "setenv(3)")
            .inspect("env")
    }

    fn make(&self, _: &mut Handles) -> Result<(), Errno> {
        sys::set_variable(&self.name, &self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_name_and_perhaps_a_value() {
        let parse = |text: &str| Variable::parse(text.into()).map(|read| (read.name, read.value));
        assert_eq!(parse("A=b=c"), Ok(("A".into(), Some("b=c".into()))));
        assert_eq!(parse("A="), Ok(("A".into(), Some("".into()))));
        assert_eq!(parse("A"), Ok(("A".into(), None)));
        assert!(parse("=b").is_err() && parse("").is_err());
    }
}
