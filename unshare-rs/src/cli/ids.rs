//! The options about users and groups.

use std::str::FromStr;

use system::idmap::IdKind;
use system::nss;

use crate::idmap::IdRange;

/// The options about users and groups.
#[derive(Debug, Default, clap::Args)]
pub struct IdOptions {
    /// Map your user and group to root inside; implies --user
    #[arg(short = 'r', long, overrides_with = "map_current_user")]
    pub map_root_user: bool,

    /// Keep your user and group inside; implies --user
    #[arg(short = 'c', long, overrides_with = "map_root_user")]
    pub map_current_user: bool,

    /// Map your user to USER; implies --user
    #[arg(long, value_name = "USER", overrides_with = "map_user", value_parser = user_id)]
    pub map_user: Option<u32>,

    /// Map your group to GROUP and deny setgroups(2); implies --user
    #[arg(long, value_name = "GROUP", overrides_with = "map_group", value_parser = group_id)]
    pub map_group: Option<u32>,

    /// Map COUNT user ids: INSIDE... inside to OUTSIDE... outside; or 'auto' (all of /etc/subuid,
    /// from 0), 'subids' (the same, unchanged), 'all' (every id, unchanged); implies --user
    #[arg(long, value_name = "INSIDE:OUTSIDE:COUNT", value_parser = str::parse::<MapSource>)]
    pub map_users: Vec<MapSource>,

    /// Map group ids in the same way, with /etc/subgid; implies --user
    #[arg(long, value_name = "INSIDE:OUTSIDE:COUNT", value_parser = str::parse::<MapSource>)]
    pub map_groups: Vec<MapSource>,

    /// Map all subordinate ids, from 0: --map-users=auto --map-groups=auto
    #[arg(long)]
    pub map_auto: bool,

    /// Map all subordinate ids, unchanged: --map-users=subids --map-groups=subids
    #[arg(long)]
    pub map_subids: bool,

    /// Make COMMAND root among 65536 ids that no account of this machine has (auto); needs root
    #[arg(long, value_name = "auto", value_parser = userns)]
    pub userns: Option<Userns>,

    /// Make USER and GROUP the owner of the user namespace; implies --user
    #[arg(long, value_name = "USER:GROUP", value_parser = owner_ids)]
    pub owner: Option<(u32, u32)>,

    /// Allow or deny setgroups(2) in a new user namespace: allow, deny
    #[arg(long, value_name = "RULE", hide_possible_values = true)]
    pub setgroups: Option<SetgroupsRule>,

    /// Let COMMAND keep the capabilities of a new user namespace
    #[arg(long)]
    pub keep_caps: bool,

    /// Become USER inside
    #[arg(short = 'S', long, value_name = "USER", value_parser = user_id)]
    pub setuid: Option<u32>,

    /// Become GROUP inside and drop the supplementary groups
    #[arg(short = 'G', long, value_name = "GROUP", value_parser = group_id)]
    pub setgid: Option<u32>,
}

impl IdOptions {
    /// Whether an option implies a new user namespace.
    pub fn imply_user(&self) -> bool {
        self.map_root_user
            || self.map_current_user
            || self.map_auto
            || self.map_subids
            || self.map_user.is_some()
            || self.map_group.is_some()
            || self.owner.is_some()
            || !(self.map_users.is_empty() && self.map_groups.is_empty())
    }

    /// Whether an option other than --userns chooses ids.
    pub fn map_ids(&self) -> bool {
        self.imply_user()
            || self.setgroups.is_some()
            || self.keep_caps
            || self.setuid.is_some()
            || self.setgid.is_some()
    }

    /// The id inside and the id outside for the caller's own id `own`: mapped to `named`, or as
    /// --map-root-user or --map-current-user asks.
    pub fn single_id(&self, named: Option<u32>, own: u32) -> Option<(u32, u32)> {
        match named {
            Some(named) => Some((named, own)),
            None if self.map_root_user => Some((0, own)),
            None => self.map_current_user.then_some((own, own)),
        }
    }

    /// The ids to map: those `named` for users or for groups, and those of --map-auto and --map-subids.
    pub fn sources(&self, named: &[MapSource]) -> Vec<MapSource> {
        let auto = self.map_auto.then_some(MapSource::Auto);
        let subids = self.map_subids.then_some(MapSource::Subids);
        named.iter().copied().chain(auto).chain(subids).collect()
    }
}

/// Whether setgroups(2) works in a new user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SetgroupsRule {
    /// It works as in the parent user namespace.
    Allow,
    /// It fails, and this cannot be reversed.
    Deny,
}

/// How the ids of a user namespace are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Userns {
    /// The tool chooses ids that no account has.
    Auto,
}

/// Parses podman's values. For those that we do not have, the error names our option.
fn userns(text: &str) -> Result<Userns, String> {
    Err(match text.split(':').next().unwrap_or_default() {
        "auto" if text == "auto" => return Ok(Userns::Auto),
        "host" => "expected auto; to stay in the current user namespace, use --share user",
        "keep-id" => "expected auto; to keep your own id, use --map-current-user",
        "nomap" => "expected auto; to map all of /etc/subuid, use --map-auto",
        _ => "expected auto",
    }
    .to_string())
}

fn user_id(text: &str) -> Result<u32, String> {
    nss::id(IdKind::User, text)
}

fn group_id(text: &str) -> Result<u32, String> {
    nss::id(IdKind::Group, text)
}

fn owner_ids(text: &str) -> Result<(u32, u32), String> {
    let (user, group) = text.split_once(':').ok_or("expected a user and a group, such as 1000:1000")?;
    Ok((user_id(user)?, group_id(group)?))
}

/// The ids that `--map-users` or `--map-groups` maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapSource {
    /// `INSIDE:OUTSIDE:COUNT`, or `OUTSIDE,INSIDE,COUNT` as in unshare(1) before 2.39.
    Range(IdRange),
    /// Subordinate ids, mapped to ids from 0.
    Auto,
    /// Subordinate ids, unchanged.
    Subids,
    /// Every id of the current user namespace, unchanged.
    All,
}

impl FromStr for MapSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = |separator: char| {
            let parts: Vec<&str> = text.split(separator).collect();
            let [first, second, count] = parts.as_slice() else { return None };
            Some((first.parse::<u32>().ok()?, second.parse::<u32>().ok()?, count.parse::<u32>().ok()?))
        };
        let range = match (text, numbers(':'), numbers(',')) {
            ("auto", ..) => return Ok(Self::Auto),
            ("subids", ..) => return Ok(Self::Subids),
            ("all", ..) => return Ok(Self::All),
            (_, Some((inside, outside, count)), _) | (_, None, Some((outside, inside, count))) => {
                IdRange { inside, outside, count }
            }
            _ => return Err("expected INSIDE:OUTSIDE:COUNT, auto, subids or all".to_string()),
        };
        let fits = |first: u32| first.checked_add(range.count).is_some();
        match range.count {
            0 => Err("expected at least one id".to_string()),
            _ if fits(range.inside) && fits(range.outside) => Ok(Self::Range(range)),
            _ => Err("the highest id is 4294967294".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_in_both_spellings() {
        let range = MapSource::Range(IdRange { inside: 0, outside: 1000, count: 5 });
        assert_eq!("0:1000:5".parse(), Ok(range));
        assert_eq!("1000,0,5".parse(), Ok(range));
        assert_eq!("all".parse(), Ok(MapSource::All));
    }

    #[test]
    fn a_range_of_nothing_or_beyond_the_last_id_is_refused() {
        assert!("0:1000:0".parse::<MapSource>().is_err());
        assert!("0:4294967290:10".parse::<MapSource>().is_err());
        assert!("0:1".parse::<MapSource>().is_err());
    }
}
