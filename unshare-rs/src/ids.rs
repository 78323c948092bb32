// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who the command is inside: the maps of a new user namespace, who writes them, and the ids taken then.
//!
//! A process may map its own ids only, one of each, to itself. More takes somebody outside:
//! newuidmap(1) and newgidmap(1) for an ordinary user, a write by root. user_namespaces(7)

use std::path::PathBuf;

use chain::{Plan, call};

use crate::account::{Group, User};
use crate::caller::{Caller, Privilege};
use crate::cli::{IdOptions, MapSource, SetgroupsRule};
use crate::idmap::{Block, IdMap, Range};
use crate::subid::{IdKind, SubidRange};

/// A contradiction on the command line, and what to write instead.
pub type Wrong = (String, String);

/// A map and who writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MapWrite {
    map: IdMap,
    by: MapWriter,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum MapWriter {
    /// The process itself, from inside.
    Itself,
    /// Root, from outside.
    Root,
    /// newuidmap(1) or newgidmap(1), from outside.
    Program(PathBuf),
}

/// The ids of a new user namespace, and those to take before it and inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdSetup {
    users: Option<MapWrite>,
    groups: Option<MapWrite>,
    setgroups: Option<SetgroupsRule>,
    owner: Option<(u32, u32)>,
    become_user: Option<u32>,
    become_group: Option<u32>,
    keep_capabilities: bool,
}

impl IdSetup {
    /// What options ask for.
    ///
    /// # Errors
    /// What cannot be had together, or not at all.
    pub fn from_options(options: &IdOptions, caller: &Caller) -> Result<Self, Wrong> {
        let owner = options.owner.map(|owner| owner.0);
        let (uid, gid) = owner.unwrap_or(caller.ids);
        let auto = (options.map_auto).then_some(MapSource::Auto);
        let subids = (options.map_subids).then_some(MapSource::Subids);
        let both: Vec<MapSource> = auto.into_iter().chain(subids).collect();
        let sources = |own: &[MapSource]| own.iter().chain(&both).copied().collect::<Vec<_>>();
        let single = |named: Option<u32>, own: u32| match (named, options.map_root_user) {
            (Some(named), _) => Some((named, own)),
            (None, true) => Some((0, own)),
            (None, false) => options.map_current_user.then_some((own, own)),
        };
        let user = single(options.map_user.map(|User(uid)| uid), uid);
        let group = single(options.map_group.map(|Group(gid)| gid), gid);
        if options.setgroups == Some(SetgroupsRule::Allow)
            && group.is_some()
            && caller.privilege == Privilege::None
        {
            return Err((
                "--setgroups allow and a map of the own group exclude each other".to_string(),
                "only root, or newgidmap(1) with --map-groups, maps groups without giving up setgroups(2)"
                    .to_string(),
            ));
        }
        let own_way = options.setgroups != Some(SetgroupsRule::Allow) && owner.is_none();
        Ok(Self {
            users: written(IdKind::User, user, &sources(&options.map_users), caller, owner.is_none())?,
            groups: written(IdKind::Group, group, &sources(&options.map_groups), caller, own_way)?,
            setgroups: options.setgroups,
            owner,
            become_user: options.setuid.map(|User(uid)| uid),
            become_group: options.setgid.map(|Group(gid)| gid),
            keep_capabilities: options.keep_caps,
        })
    }

    /// What an ordinary user gets without asking: root, and every subordinate id; else root
    /// alone, and a line that says why.
    pub fn container(caller: &Caller) -> (Self, Option<String>) {
        let all = |kind| {
            let (single, outside) = match kind {
                IdKind::User => (0, caller.ids.0),
                IdKind::Group => (0, caller.ids.1),
            };
            let blocks = subordinate(kind, MapSource::Auto, caller)?;
            let map = IdMap::around(Some((single, outside)), &blocks)
                .map_err(|wrong| format!("{}: {wrong}", kind.file()))?;
            Ok::<_, String>(MapWrite { map, by: MapWriter::Program((caller.mapper)(kind)?) })
        };
        match (all(IdKind::User), all(IdKind::Group)) {
            (Ok(users), Ok(groups)) => {
                (Self { users: Some(users), groups: Some(groups), ..Self::default() }, None)
            }
            (Err(why), _) | (_, Err(why)) => {
                let line = format!("only user 0 and group 0 exist inside: {why}");
                (Self::root(caller), Some(line))
            }
        }
    }

    /// These ids, and what options that imply no user namespace add.
    pub fn with_options(mut self, options: &IdOptions) -> Self {
        self.setgroups = options.setgroups.or(self.setgroups);
        self.become_user = options.setuid.map(|User(uid)| uid);
        self.become_group = options.setgid.map(|Group(gid)| gid);
        self.keep_capabilities = options.keep_caps;
        self
    }

    /// Root inside, and no other id.
    fn root(caller: &Caller) -> Self {
        let own = |own| Some(MapWrite { map: IdMap::one(0, own), by: MapWriter::Itself });
        Self { users: own(caller.ids.0), groups: own(caller.ids.1), ..Self::default() }
    }

    /// Adds what the helper does outside, in order.
    fn plan_outside(&self, plan: &mut Plan, pid: u32) {
        if self.denied_from_outside() {
            plan.step("deny setgroups(2) inside", deny(&pid.to_string()));
            plan.in_helper();
        }
        for (kind, written) in [(IdKind::User, &self.users), (IdKind::Group, &self.groups)] {
            let Some(MapWrite { map, by }) = written else { continue };
            let reason = format!("map {} ids", kind.noun());
            match by {
                MapWriter::Itself => continue,
                MapWriter::Root => {
                    plan.step(
                        reason,
                        call::Write::new(format!("/proc/{pid}/{}", kind.map()), map.to_string()),
                    );
                }
                MapWriter::Program(program) => {
                    let head = [kind.program().to_string(), pid.to_string()];
                    let argv = head.into_iter().chain(map.arguments()).map(Into::into).collect();
                    plan.step(reason, call::RunProgram { program: program.clone(), argv });
                }
            }
            plan.in_helper();
        }
    }

    /// Adds what comes before the namespace is made: its owner is who makes it.
    pub fn plan_owner(&self, plan: &mut Plan) {
        if let Some((uid, gid)) = self.owner {
            plan.step("give up the own groups", call::SetGroups(Vec::new()));
            plan.step(format!("become group {gid}, which owns the namespace"), call::SetGroup(gid));
            plan.step(format!("become user {uid}, who owns the namespace"), call::SetUser(uid));
        }
    }

    /// Adds the maps.
    pub fn plan_maps(&self, plan: &mut Plan, pid: u32) {
        let itself = |written: &Option<MapWrite>| match written {
            Some(MapWrite { map, by: MapWriter::Itself }) => Some(map.to_string()),
            _ => None,
        };
        let (users, groups) = (itself(&self.users), itself(&self.groups));
        if let Some(map) = users {
            plan.step(whose("user", &map), call::Write::new("/proc/self/uid_map", map));
        }
        if let Some(map) = groups {
            // "deny" must come before gid_map: user_namespaces(7)
            plan.step("give up setgroups(2), without which no group may be mapped", deny("self"));
            plan.step(whose("group", &map), call::Write::new("/proc/self/gid_map", map));
        } else if self.setgroups == Some(SetgroupsRule::Deny) && !self.denied_from_outside() {
            plan.step("deny setgroups(2) inside", deny("self"));
        }
        self.plan_outside(plan, pid);
        if self.setgroups == Some(SetgroupsRule::Allow) && self.owner.is_none() {
            plan.step("allow setgroups(2) inside", call::Write::new("/proc/self/setgroups", "allow"));
        }
    }

    /// Adds the ids to take inside, the last thing before the command.
    pub fn plan_credentials(&self, plan: &mut Plan) {
        if let Some(gid) = self.become_group {
            // setgroups(2) is refused where a map by the process itself gave it up
            if !self.setgroups_denied() {
                plan.step("give up the supplementary groups", call::SetGroups(Vec::new()));
            }
            plan.step(format!("become group {gid}"), call::SetGroup(gid));
        }
        if let Some(uid) = self.become_user {
            plan.step(format!("become user {uid}"), call::SetUser(uid));
        }
        if self.keep_capabilities {
            plan.step("let the command keep the capabilities", call::KeepCapabilities);
        }
    }

    /// What has to be left out.
    pub fn note(&self) -> Option<String> {
        (self.become_group.is_some() && self.setgroups_denied()).then(|| {
            "the supplementary groups stay: setgroups(2) is denied in this user namespace".to_string()
        })
    }

    fn setgroups_denied(&self) -> bool {
        self.setgroups == Some(SetgroupsRule::Deny)
            || self.groups.as_ref().is_some_and(|groups| groups.by == MapWriter::Itself)
    }

    /// After --owner the files in /proc/self belong to root: proc(5), PR_SET_DUMPABLE(2const).
    fn denied_from_outside(&self) -> bool {
        self.setgroups == Some(SetgroupsRule::Deny) && self.owner.is_some()
    }
}

fn deny(process: &str) -> call::Write {
    call::Write::new(format!("/proc/{process}/setgroups"), "deny")
}

/// `0 1000 1` in words.
fn whose(noun: &str, map: &str) -> String {
    let mut ids = map.split(' ');
    let (inside, outside) = (ids.next().unwrap_or_default(), ids.next().unwrap_or_default());
    format!("be {noun} {inside} inside, {noun} {outside} outside")
}

fn written(
    kind: IdKind,
    single: Option<(u32, u32)>,
    sources: &[MapSource],
    caller: &Caller,
    may_write_itself: bool,
) -> Result<Option<MapWrite>, Wrong> {
    if single.is_none() && sources.is_empty() {
        return Ok(None);
    }
    let mut blocks = Vec::new();
    for source in sources {
        blocks.extend(subordinate(kind, *source, caller).map_err(|why| {
            (
                format!("cannot map {} ids: {why}", kind.noun()),
                "--map-root-user needs no such ids".to_string(),
            )
        })?);
    }
    let map = IdMap::around(single, &blocks).map_err(|wrong| {
        let advice =
            format!("ranges of {} ids may not overlap, inside or outside: user_namespaces(7)", kind.noun());
        (wrong, advice)
    })?;
    let by = match (single, caller.privilege) {
        (Some((_, own)), _) if map.is_only(own) && may_write_itself => MapWriter::Itself,
        (_, Privilege::Admin) => MapWriter::Root,
        (_, Privilege::None) => MapWriter::Program((caller.mapper)(kind).map_err(|why| {
            (format!("cannot map {} ids: {why}", kind.noun()), "--map-root-user does without it".to_string())
        })?),
    };
    Ok(Some(MapWrite { map, by }))
}

/// The ids that a source stands for.
fn subordinate(kind: IdKind, source: MapSource, caller: &Caller) -> Result<Vec<Block>, String> {
    let blocks = match source {
        MapSource::Range(range) => return Ok(vec![Block::At(range)]),
        MapSource::All => (caller.existing)(kind),
        MapSource::Auto | MapSource::Subids => caller.subordinate(kind)?,
    };
    let block = |&(outside, count): &SubidRange| match source {
        MapSource::Auto => Block::Next { outside, count },
        _ => Block::At(Range { inside: outside, outside, count }),
    };
    Ok(blocks.iter().map(block).collect())
}
