// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ids of a new user namespace: who owns it, how it maps users and groups, who the command is.
//!
//! A process may map only its own user and group, each to one id. A larger map is written from
//! the parent user namespace: by newuidmap(1) and newgidmap(1) for an ordinary user, by root for
//! root. user_namespaces(7), "Defining user and group ID mappings"

use std::path::PathBuf;

use chain::Failure;

use crate::caller::{Caller, Privilege};
use crate::cli::{IdOptions, MapSource, SetgroupsRule};
use crate::idmap::{Block, IdKind, IdMap, IdRange};
use crate::subid::SubidRange;

/// Who writes a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapWriter {
    /// The process itself, inside.
    Itself,
    /// Root, outside.
    Root,
    /// newuidmap(1) or newgidmap(1), outside.
    Program(PathBuf),
}

/// A write to uid_map, gid_map or setgroups of the new user namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapWrite {
    /// The reason of the step.
    pub reason: String,
    /// The file in /proc/PID.
    pub file: &'static str,
    /// The whole content, which for a map is also what newuidmap(1) takes as arguments.
    pub content: String,
    /// Who writes it.
    pub writer: MapWriter,
}

/// The ids before, in and after the new user namespace is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdSetup {
    /// The user and group to become first, because a namespace belongs to its maker.
    pub owner: Option<(u32, u32)>,
    /// The maps in the order of the writes; without them every id is 65534 inside.
    pub map_writes: Vec<MapWrite>,
    /// Whether setgroups(2) is allowed, which is then used to drop the groups of the caller.
    pub may_set_groups: bool,
    /// The group the command runs as.
    pub gid: Option<u32>,
    /// The user the command runs as.
    pub uid: Option<u32>,
    /// Whether the command keeps the capabilities of the namespace.
    pub keep_capabilities: bool,
    /// What a default would do and cannot, a line each.
    pub notes: Vec<String>,
}

impl IdSetup {
    /// The ids that the options name.
    ///
    /// # Errors
    /// Options that exclude each other, maps that overlap, and ids this caller cannot map.
    pub fn from_options(options: &IdOptions, caller: &Caller) -> Result<Self, Failure> {
        let (uid, gid) = options.owner.unwrap_or(caller.ids);
        let user = options.single_id(options.map_user, uid);
        let group = options.single_id(options.map_group, gid);
        let allow_setgroups = options.setgroups == Some(SetgroupsRule::Allow);
        if allow_setgroups && group.is_some() && caller.privilege == Privilege::None {
            return Err(Failure::new("--setgroups allow and a map of the own group exclude each other").hint(
                "only root, or newgidmap(1) with --map-groups, maps groups without giving up setgroups(2)",
            ));
        }
        let users = options.sources(&options.map_users);
        let groups = options.sources(&options.map_groups);
        let no_owner = options.owner.is_none();
        let users = Mapping::resolve(IdKind::User, user, &users, caller, no_owner)?;
        let groups = Mapping::resolve(IdKind::Group, group, &groups, caller, no_owner && !allow_setgroups)?;
        Ok(Self::new(options, users, groups))
    }

    /// The default of an ordinary user: root and every subordinate id, or root alone where the
    /// subordinate ids cannot be had, and a note that says why.
    pub fn container(options: &IdOptions, caller: &Caller) -> Self {
        match (Mapping::container(IdKind::User, caller), Mapping::container(IdKind::Group, caller)) {
            (Ok(users), Ok(groups)) => Self::new(options, Some(users), Some(groups)),
            (Err(why), _) | (_, Err(why)) => {
                let own = |id| Some(Mapping { map: IdMap::one(0, id), writer: MapWriter::Itself });
                let mut setup = Self::new(options, own(caller.ids.0), own(caller.ids.1));
                setup.notes.insert(0, format!("only user 0 and group 0 exist inside: {why}"));
                setup
            }
        }
    }

    fn new(options: &IdOptions, users: Option<Mapping>, groups: Option<Mapping>) -> Self {
        let own_group = groups.as_ref().is_some_and(|groups| groups.writer == MapWriter::Itself);
        let may_set_groups = !own_group && options.setgroups != Some(SetgroupsRule::Deny);
        let note = "the supplementary groups stay: setgroups(2) is denied in this user namespace";
        let groups_stay = options.setgid.is_some() && !may_set_groups;
        Self {
            owner: options.owner,
            map_writes: map_writes(options, users, groups),
            may_set_groups,
            gid: options.setgid,
            uid: options.setuid,
            keep_capabilities: options.keep_caps,
            notes: groups_stay.then(|| note.to_string()).into_iter().collect(),
        }
    }
}

/// The writes in the order the kernel needs: "deny" comes before gid_map, user_namespaces(7).
fn map_writes(options: &IdOptions, users: Option<Mapping>, groups: Option<Mapping>) -> Vec<MapWrite> {
    let setgroups = |reason: &str, rule: &str, writer| MapWrite {
        reason: reason.to_string(),
        writer,
        file: "setgroups",
        content: rule.to_string(),
    };
    let mut writes: Vec<MapWrite> = users.map(|users| users.write(IdKind::User)).into_iter().collect();
    if groups.as_ref().is_some_and(|groups| groups.writer == MapWriter::Itself) {
        let reason = "give up setgroups(2), without which no group may be mapped";
        writes.push(setgroups(reason, "deny", MapWriter::Itself));
    } else if options.setgroups == Some(SetgroupsRule::Deny) {
        // after --owner the files in /proc/self belong to root: proc(5), PR_SET_DUMPABLE(2const)
        let writer = if options.owner.is_some() { MapWriter::Root } else { MapWriter::Itself };
        writes.push(setgroups("deny setgroups(2) inside", "deny", writer));
    }
    writes.extend(groups.map(|groups| groups.write(IdKind::Group)));
    if options.setgroups == Some(SetgroupsRule::Allow) && options.owner.is_none() {
        writes.push(setgroups("allow setgroups(2) inside", "allow", MapWriter::Itself));
    }
    writes
}

/// A map of users or of groups, and who writes it.
struct Mapping {
    map: IdMap,
    writer: MapWriter,
}

impl Mapping {
    /// The map of `single`, an id inside and one outside, and of the ids of `sources`.
    fn resolve(
        kind: IdKind,
        single: Option<(u32, u32)>,
        sources: &[MapSource],
        caller: &Caller,
        may_write_itself: bool,
    ) -> Result<Option<Self>, Failure> {
        if single.is_none() && sources.is_empty() {
            return Ok(None);
        }
        let noun = kind.noun();
        let cannot = |why, hint: &str| Failure::new(format!("cannot map {noun} ids: {why}")).hint(hint);
        let mut blocks = Vec::new();
        for source in sources {
            let ids = source_blocks(kind, *source, caller);
            blocks.extend(ids.map_err(|why| cannot(why, "--map-root-user needs no such ids"))?);
        }
        let map = IdMap::around(single, &blocks).map_err(|overlap| {
            Failure::new(overlap)
                .hint(format!("ranges of {noun} ids may not overlap, inside or outside: user_namespaces(7)"))
        })?;
        let is_own = single.is_some_and(|own| map.single() == Some(own));
        let writer = match caller.privilege {
            _ if is_own && may_write_itself => MapWriter::Itself,
            Privilege::Admin => MapWriter::Root,
            Privilege::None => MapWriter::Program(
                (caller.mapper)(kind).map_err(|why| cannot(why, "--map-root-user does without it"))?,
            ),
        };
        Ok(Some(Self { map, writer }))
    }

    /// Root, and every subordinate id from 1.
    fn container(kind: IdKind, caller: &Caller) -> Result<Self, String> {
        let own = if kind == IdKind::User { caller.ids.0 } else { caller.ids.1 };
        let map = IdMap::around(Some((0, own)), &source_blocks(kind, MapSource::Auto, caller)?)
            .map_err(|overlap| format!("{}: {overlap}", kind.subid_file()))?;
        Ok(Self { map, writer: MapWriter::Program((caller.mapper)(kind)?) })
    }

    fn write(self, kind: IdKind) -> MapWrite {
        let noun = kind.noun();
        let reason = match (&self.writer, self.map.single()) {
            (MapWriter::Itself, Some((inside, outside))) => {
                format!("be {noun} {inside} inside, {noun} {outside} outside")
            }
            _ => format!("map {noun} ids"),
        };
        MapWrite { reason, writer: self.writer, file: kind.map(), content: self.map.to_string() }
    }
}

/// The ids that a source stands for.
fn source_blocks(kind: IdKind, source: MapSource, caller: &Caller) -> Result<Vec<Block>, String> {
    let ranges = match source {
        MapSource::Range(range) => return Ok(vec![Block::At(range)]),
        MapSource::All => (caller.existing)(kind),
        MapSource::Auto | MapSource::Subids => caller.subordinate(kind)?,
    };
    let block = |SubidRange { first: outside, count }| match source {
        MapSource::Auto => Block::Next { outside, count },
        _ => Block::At(IdRange { inside: outside, outside, count }),
    };
    Ok(ranges.into_iter().map(block).collect())
}
