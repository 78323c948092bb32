//! A filter from a file: the JSON profiles of docker, podman and the OCI runtime specification.
//!
//! # Source
//! runtime-spec's config-linux.md, "Seccomp"; moby's profiles/seccomp, "includes" and "excludes".

use std::path::Path;

use chain::args::ValueError;
use chain::call::shell_word;
use serde_json::Value;

use super::tree::{Action, Condition, Leaf, Test, program};
use super::{ARCHITECTURES, Filter, SYSCALLS, capability_bit};

/// The facts that a profile's conditions can ask about.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The command's capabilities, one bit each.
    pub capabilities: u64,
    /// Major and minor version of the running kernel.
    pub kernel: (u32, u32),
}

/// Shown in the hint for an invalid entry.
const FORM: &str = "an entry of \"syscalls\": {\"names\": [\"mount\"], \"action\": \"SCMP_ACT_ERRNO\"}";
/// Shown in the hint for an invalid condition.
const CONDITION_FORM: &str = "an entry of \"args\": {\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}";
/// The supported operators.
const OPERATORS: &str = "use one of SCMP_CMP_EQ, SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE, SCMP_CMP_GT, SCMP_CMP_GE, \
    SCMP_CMP_MASKED_EQ";
/// The supported actions.
const ACTIONS: &str = "use one of SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_ACT_KILL, SCMP_ACT_KILL_THREAD, \
    SCMP_ACT_KILL_PROCESS, SCMP_ACT_TRAP, SCMP_ACT_TRACE, SCMP_ACT_LOG";

fn wrong(wrong: impl Into<String>, hint: impl Into<String>) -> ValueError {
    ValueError { wrong: wrong.into(), hint: hint.into() }
}

/// One entry of "syscalls" that applies here.
struct Entry<'a> {
    names: Vec<&'a str>,
    conditions: Vec<Condition>,
    action: Action,
}

/// Reads a profile.
///
/// # Errors
/// What is wrong with it, as the end of a sentence. `path` is the profile's path.
pub fn read(text: &[u8], path: &Path, facts: Facts) -> Result<Filter, ValueError> {
    let parsed = serde_json::from_slice(text);
    let profile: Value = parsed.map_err(|why| {
        wrong(format!("it is not JSON: {why}"), format!("python3 -m json.tool {}", shell_word(path)))
    })?;
    let default = action(&profile, "defaultAction", "defaultErrnoRet")?;
    let entries = profile.get("syscalls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let entries = entries.iter().filter(|entry| holds(entry, facts));
    let entries = entries.map(entry).collect::<Result<Vec<_>, _>>()?;
    let listed = ARCHITECTURES.iter().filter(|architecture| has_architecture(&profile, architecture.audit));
    let parts =
        listed.map(|architecture| (architecture.audit, ranges(&entries, architecture.column, default)));
    Ok(Filter(program(parts)))
}

/// The actions for every number of the architecture in this column of the table.
fn ranges(entries: &[Entry<'_>], column: usize, default: Action) -> Vec<(u32, Leaf)> {
    let rows = SYSCALLS.lines().filter(|line| !line.starts_with('#'));
    let mut calls: Vec<(u32, Leaf)> = rows
        .filter_map(|row| {
            let mut fields = row.split('\t');
            let name = fields.next()?;
            let number = fields.nth(column - 1)?.parse().ok()?;
            Some((number, leaf(entries, name, default)))
        })
        .collect();
    calls.sort_by_key(|(number, _)| *number);
    let unknown = || Leaf::Always(default);
    let mut ranges = vec![(0, unknown())];
    for (number, leaf) in calls {
        if ranges.last().is_some_and(|(start, _)| *start == number) {
            ranges.pop();
        }
        ranges.push((number, leaf));
        ranges.push((number + 1, unknown()));
    }
    ranges
}

/// A rule without conditions takes precedence over rules with conditions.
fn leaf(entries: &[Entry<'_>], name: &str, default: Action) -> Leaf {
    let about = || entries.iter().filter(|entry| entry.names.contains(&name));
    if let Some(entry) = about().find(|entry| entry.conditions.is_empty()) {
        return Leaf::Always(entry.action);
    }
    let rules: Vec<_> = about().map(|entry| (entry.conditions.clone(), entry.action)).collect();
    if rules.is_empty() { Leaf::Always(default) } else { Leaf::ByArguments { rules, other: default } }
}

fn entry(entry: &Value) -> Result<Entry<'_>, ValueError> {
    let list = entry.get("names").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> =
        list.iter().chain(entry.get("name")).map(Value::as_str).collect::<Option<_>>().unwrap_or_default();
    if names.is_empty() {
        return Err(wrong("an entry of \"syscalls\" has no \"names\"", FORM));
    }
    let args = entry.get("args").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let conditions = args.iter().map(condition).collect::<Result<_, _>>()?;
    Ok(Entry { names, conditions, action: action(entry, "action", "errnoRet")? })
}

fn condition(arg: &Value) -> Result<Condition, ValueError> {
    let number = |field: &str| arg.get(field).and_then(Value::as_u64);
    let index = number("index").filter(|index| *index < 6);
    let argument =
        index.ok_or_else(|| wrong("an entry of \"args\" has no \"index\" from 0 to 5", CONDITION_FORM))?;
    let value = number("value").unwrap_or(0);
    let op = arg.get("op").and_then(Value::as_str).unwrap_or_default();
    let test = match op {
        "SCMP_CMP_EQ" => Test::Equal(value),
        "SCMP_CMP_NE" => Test::NotEqual(value),
        "SCMP_CMP_LT" => Test::Less(value),
        "SCMP_CMP_LE" => Test::LessOrEqual(value),
        "SCMP_CMP_GT" => Test::Greater(value),
        "SCMP_CMP_GE" => Test::GreaterOrEqual(value),
        "SCMP_CMP_MASKED_EQ" => Test::MaskedEqual(value, number("valueTwo").unwrap_or(0)),
        other => return Err(wrong(format!("it has an unknown \"op\": {other:?}"), OPERATORS)),
    };
    Ok(Condition { argument: u32::try_from(argument).unwrap_or_default(), test })
}

fn action(value: &Value, field: &str, errno_field: &str) -> Result<Action, ValueError> {
    let name = value.get(field).and_then(Value::as_str);
    let name = name.ok_or_else(|| wrong(format!("it has no {field:?}"), ACTIONS))?;
    let data = value.get(errno_field).and_then(Value::as_u64).and_then(|errno| u16::try_from(errno).ok());
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::ALLOW,
        "SCMP_ACT_ERRNO" => Action::errno(data.map_or(libc::EPERM, i32::from)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action(0x0000_0000),
        "SCMP_ACT_KILL_PROCESS" => Action(0x8000_0000),
        "SCMP_ACT_TRAP" => Action(0x0003_0000),
        "SCMP_ACT_TRACE" => Action(0x7ff0_0000 | u32::from(data.unwrap_or(0))),
        "SCMP_ACT_LOG" => Action(0x7ffc_0000),
        "SCMP_ACT_NOTIFY" => {
            return Err(wrong("SCMP_ACT_NOTIFY needs an agent, which chroot-rs does not have", ACTIONS));
        }
        other => return Err(wrong(format!("it has an unknown action: {other:?}"), ACTIONS)),
    })
}

/// Whether an entry applies here, according to its "includes" and "excludes".
fn holds(entry: &Value, facts: Facts) -> bool {
    let strings = |part: &'static str, field: &'static str| {
        let list = entry.get(part).and_then(|part| part.get(field)).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str)
    };
    let has = |name: &str| capability_bit(name).is_some_and(|bit| facts.capabilities & bit != 0);
    let here = |name: &str| DOCKER_ARCHITECTURES.contains(&name);
    let at_least = |part: &str| {
        let version = entry.get(part)?.get("minKernel")?.as_str()?;
        let (major, minor) = version.split_once('.')?;
        Some(facts.kernel >= (major.parse().ok()?, minor.parse().ok()?))
    };
    let mut arches = strings("includes", "arches").peekable();
    let arch_fits = arches.peek().is_none() || arches.any(here);
    arch_fits
        && strings("includes", "caps").all(has)
        && at_least("includes").unwrap_or(true)
        && !strings("excludes", "arches").any(here)
        && !strings("excludes", "caps").any(has)
        && !at_least("excludes").unwrap_or(false)
}

/// This machine's name in docker's profiles.
const DOCKER_ARCHITECTURES: &[&str] =
    if cfg!(target_arch = "aarch64") { &["arm64"] } else { &["amd64", "x32", "x86"] };

/// Whether a profile covers an architecture. A profile that names none covers only this machine's.
fn has_architecture(profile: &Value, audit: u32) -> bool {
    let name = match audit {
        0x4000_0003 => "SCMP_ARCH_X86",
        _ => return true,
    };
    let mut lists = vec![profile.get("architectures")];
    for map in profile.get("archMap").and_then(Value::as_array).into_iter().flatten() {
        lists.push(map.get("subArchitectures"));
    }
    let names = lists.into_iter().flatten().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    names.into_iter().any(|listed| listed == name)
}
