//! The ids of a new user namespace: its owner, its maps of users and groups, and the command's ids.
//!
//! A process can map only its own user and group, each to one id. A larger map must be written from the
//! parent user namespace: by newuidmap(1) and newgidmap(1) for an ordinary user, by root for root.
//! user_namespaces(7), "Defining user and group ID mappings"

use std::path::PathBuf;

use chain::Failure;
use system::idmap::{IdKind, SubidRange};

use crate::caller::{Caller, Privilege};
use crate::cli::{IdOptions, MapSource, SetgroupsRule};
use crate::idmap::{Block, IdMap, IdRange};

/// A map of users or of groups, by its writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapWrite {
    /// The process itself, which can map only its own id.
    ByItself {
        /// The id inside.
        inside: u32,
        /// Its own id.
        outside: u32,
    },
    /// Root, from outside.
    ByRoot(IdMap),
    /// newuidmap(1) or newgidmap(1), from outside.
    ByProgram {
        /// Its path.
        program: PathBuf,
        /// The map to write.
        map: IdMap,
        /// The id outside that is mapped to 0, alone, if the program refuses; None if a refusal is a failure.
        alone: Option<u32>,
    },
}

/// The ids before and in the new user namespace, and the command's ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdSetup {
    /// The user and group to become first, because a namespace belongs to its creator.
    pub owner: Option<(u32, u32)>,
    /// The map of users; without one, every user is 65534 inside.
    pub users: Option<MapWrite>,
    /// The map of groups. If the process writes it itself, setgroups(2) is denied.
    pub groups: Option<MapWrite>,
    /// The setgroups(2) rule to write, unless the map of groups decides it.
    pub setgroups: Option<SetgroupsRule>,
    /// The group to become.
    pub gid: Option<u32>,
    /// Whether the supplementary groups can then be dropped.
    pub can_drop_groups: bool,
    /// The user to become.
    pub uid: Option<u32>,
    /// Whether the command keeps the capabilities of the namespace.
    pub keep_capabilities: bool,
    /// Parts of a default or an option that are not possible, one line each.
    pub notes: Vec<String>,
}

impl IdSetup {
    /// The ids that the options ask for.
    ///
    /// # Errors
    /// Options that exclude each other, maps that overlap, and ids that this caller cannot map.
    pub fn from_options(options: &IdOptions, caller: &Caller) -> Result<Self, Failure> {
        let (uid, gid) = options.owner.unwrap_or(caller.ids);
        let user = options.single_id(options.map_user, uid);
        let group = options.single_id(options.map_group, gid);
        let allow_setgroups = options.setgroups == Some(SetgroupsRule::Allow);
        if allow_setgroups && group.is_some() && caller.privilege == Privilege::None {
            return Err(Failure::new("--setgroups allow cannot be combined with a map of your own group")
                .hint("to keep setgroups(2), map groups as root, or with --map-groups"));
        }
        let users = options.sources(&options.map_users);
        let groups = options.sources(&options.map_groups);
        let no_owner = options.owner.is_none();
        let users = map_write(IdKind::User, user, &users, caller, no_owner)?;
        let groups = map_write(IdKind::Group, group, &groups, caller, no_owner && !allow_setgroups)?;
        Ok(Self::new(options, users, groups))
    }

    /// The default. For root that can write maps but lacks CAP_SYS_ADMIN: every existing id. For an ordinary
    /// user: root and every subordinate id; if those cannot be mapped, root alone, with a note that gives the
    /// reason.
    pub fn container(options: &IdOptions, caller: &Caller) -> Self {
        let (uid, gid) = caller.ids;
        if let (true, 0, Some(users), Some(groups)) =
            (caller.may_map, uid, all_ids(IdKind::User, caller), all_ids(IdKind::Group, caller))
        {
            return Self::new(options, Some(users), Some(groups));
        }
        let users = root_and_subids(IdKind::User, uid, caller);
        match (users, root_and_subids(IdKind::Group, gid, caller)) {
            (Ok(users), Ok(groups)) => Self::new(options, Some(users), Some(groups)),
            (Err(why), _) | (_, Err(why)) => {
                let root = |outside| Some(MapWrite::ByItself { inside: 0, outside });
                let mut setup = Self::new(options, root(uid), root(gid));
                setup.notes.insert(0, format!("only user 0 and group 0 exist inside: {why}"));
                setup
            }
        }
    }

    /// Whether newuidmap(1) and newgidmap(1) write both maps, and the command does not change its ids
    /// afterwards.
    pub fn are_mapped_by_programs(&self) -> bool {
        let by_program = |map: &Option<MapWrite>| matches!(map, Some(MapWrite::ByProgram { .. }));
        by_program(&self.users)
            && by_program(&self.groups)
            && self.setgroups.is_none()
            && self.owner.is_none()
    }

    fn new(options: &IdOptions, users: Option<MapWrite>, groups: Option<MapWrite>) -> Self {
        let own_group = matches!(groups, Some(MapWrite::ByItself { .. }));
        let setgroups = match options.setgroups {
            Some(SetgroupsRule::Deny) if own_group => None,
            // in a namespace that root maps for an owner, nothing denies it
            Some(SetgroupsRule::Allow) if options.owner.is_some() => None,
            rule => rule,
        };
        let can_drop_groups = !own_group && options.setgroups != Some(SetgroupsRule::Deny);
        let note = "the supplementary groups stay: setgroups(2) is denied in this user namespace";
        let groups_stay = options.setgid.is_some() && !can_drop_groups;
        Self {
            owner: options.owner,
            users,
            groups,
            setgroups,
            gid: options.setgid,
            can_drop_groups,
            uid: options.setuid,
            keep_capabilities: options.keep_caps,
            notes: groups_stay.then(|| note.to_string()).into_iter().collect(),
        }
    }
}

/// The map of `single`, an id inside and one outside, and of the ids of `sources`.
fn map_write(
    kind: IdKind,
    single: Option<(u32, u32)>,
    sources: &[MapSource],
    caller: &Caller,
    may_write_itself: bool,
) -> Result<Option<MapWrite>, Failure> {
    if single.is_none() && sources.is_empty() {
        return Ok(None);
    }
    let noun = kind.noun();
    let cannot = |why, hint: &str| Failure::new(format!("cannot map {noun} ids: {why}")).hint(hint);
    let mut blocks = Vec::new();
    for source in sources {
        let ids = source_blocks(kind, *source, caller);
        blocks.extend(ids.map_err(|why| cannot(why, "--map-root-user does not need them"))?);
    }
    let map = IdMap::of_blocks(single, &blocks).map_err(|overlap| {
        Failure::new(overlap)
            .hint(format!("ranges of {noun} ids cannot overlap, inside or outside: user_namespaces(7)"))
    })?;
    Ok(Some(match single {
        Some((inside, outside)) if may_write_itself && map == IdMap::one(inside, outside) => {
            MapWrite::ByItself { inside, outside }
        }
        _ if caller.privilege == Privilege::Admin || caller.may_map => MapWrite::ByRoot(map),
        _ => {
            let program = (caller.find_newuidmap)(kind);
            let program = program.map_err(|why| cannot(why, "--map-root-user does not need it"))?;
            MapWrite::ByProgram { program, map, alone: None }
        }
    }))
}

/// Every id of the caller's user namespace, unchanged.
fn all_ids(kind: IdKind, caller: &Caller) -> Option<MapWrite> {
    let blocks = source_blocks(kind, MapSource::All, caller).ok()?;
    IdMap::of_blocks(None, &blocks).ok().map(MapWrite::ByRoot)
}

/// Root, mapped to `own` outside, and every subordinate id from 1.
fn root_and_subids(kind: IdKind, own: u32, caller: &Caller) -> Result<MapWrite, String> {
    let map = IdMap::of_blocks(Some((0, own)), &source_blocks(kind, MapSource::Auto, caller)?)
        .map_err(|overlap| format!("{}: {overlap}", kind.subid_file()))?;
    Ok(MapWrite::ByProgram { program: (caller.find_newuidmap)(kind)?, map, alone: Some(own) })
}

/// The ids of a source.
fn source_blocks(kind: IdKind, source: MapSource, caller: &Caller) -> Result<Vec<Block>, String> {
    let ranges = match source {
        MapSource::Range(range) => return Ok(vec![Block::At(range)]),
        MapSource::All => (caller.existing)(kind),
        MapSource::Auto | MapSource::Subids => caller.subordinate(kind)?,
    };
    let block = |range: SubidRange| match source {
        MapSource::Auto => Block::Next(range),
        _ => Block::At(IdRange { inside: range.first, outside: range.first, count: range.count }),
    };
    Ok(ranges.into_iter().map(block).collect())
}
