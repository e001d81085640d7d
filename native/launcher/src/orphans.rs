//! Roots that are no more, and what they left on the host: a daemon that was killed and whose directory was deleted can take nothing away.
//!
//! A root lives while a launcher or supervisor of it runs, a control group of it holds a process, something is plugged into its bridge, or its
//! directory stands. Only where none of that is so is it an orphan; in doubt it lives.

use crate::{instance, kin};
use bulkhead_cgroup::files;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const CGROUPS: &str = "/sys/fs/cgroup";
/// Where the root of a host lies as a rule: early builds wrote no owner beside their bridges.
const USUAL_ROOT: &str = "/var/lib/bulkhead";

/// Identity, and the names of what stands: interfaces, tables, control groups.
pub type Orphans = BTreeMap<String, Vec<String>>;

pub fn find() -> Result<Orphans, String> {
    let mut groups = groups();
    let standing = bulkhead_network::standing().map_err(|failure| failure.what)?;
    // Looked for after what stands was listed: whoever made any of it was there before.
    let Some(running) = running() else { return Ok(Orphans::new()) };
    let ids: BTreeSet<String> = standing.keys().chain(groups.keys()).cloned().collect();
    let mut orphans = Orphans::new();
    for id in ids {
        let network = standing.get(&id).cloned().unwrap_or_default();
        let directories = groups.remove(&id).unwrap_or_default();
        let owner = network.owner.map_or_else(|| PathBuf::from(USUAL_ROOT), PathBuf::from);
        let lives = running.contains(&id) || network.has_members || identity_of(&owner).as_ref() == Some(&id) || directories.iter().any(|group| is_busy(group));
        if !lives {
            orphans.insert(id, network.names.into_iter().chain(directories.iter().map(|group| group.display().to_string())).collect());
        }
    }
    Ok(orphans)
}

/// Removes what orphans left, and tells it.
pub fn remove() -> Result<Orphans, String> {
    let orphans = find()?;
    for (id, names) in &orphans {
        bulkhead_network::sweep(id, &[]).map_err(|failure| failure.what)?;
        bulkhead_network::remove_all(id).map_err(|failure| failure.what)?;
        for group in names.iter().filter(|name| name.starts_with(CGROUPS)) {
            files::remove_tree(Path::new(group));
        }
    }
    Ok(orphans)
}

/// One sentence; none where there are none.
pub fn describe(orphans: &Orphans) -> Option<String> {
    let one = |(id, names): (&String, &Vec<String>)| format!("{id} ({})", names.join(", "));
    (!orphans.is_empty()).then(|| format!("{} roots that are no more left something on this host: {}", orphans.len(), orphans.iter().map(one).collect::<Vec<_>>().join("; ")))
}

/// Identities of the roots that some launcher or supervisor serves. None where one runs whose root cannot be told: then nobody is an orphan.
fn running() -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path()) {
        let pid = process.file_name().and_then(|name| name.to_str()?.parse().ok());
        let Some(root) = pid.and_then(kin::command_line).and_then(|line| root_served(&line)) else { continue };
        // As that process sees it: it may live in a container.
        match identity_of(&process.join("root").join(root.strip_prefix("/").unwrap_or(&root))) {
            Some(id) => found.insert(id),
            // Of a supervisor the root may be gone and its workload live: the control group holds that.
            None if kin::read(&process.join("comm")).is_some_and(|name| kin::is_launcher(&name)) => return None,
            None => continue,
        };
    }
    Some(found)
}

/// The root of a launcher's or supervisor's command line.
fn root_served(command_line: &[u8]) -> Option<PathBuf> {
    let arguments: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    let root = arguments.windows(2).find(|pair| pair[0] == b"--root")?[1];
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(root)))
}

fn identity_of(root: &Path) -> Option<String> {
    instance::read_identity(&String::from_utf8(kin::read(&root.join("identity.json"))?).ok()?)
}

/// Bases of every root, in every hierarchy, by identity.
fn groups() -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let children = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    // Co-mounted controllers are reached by links too: the link is not followed.
    let hierarchies = children(Path::new(CGROUPS)).into_iter().filter(|path| path.symlink_metadata().is_ok_and(|status| status.is_dir()));
    let bases = hierarchies.flat_map(|path| std::iter::once(path.clone()).chain(children(&path)).collect::<Vec<_>>());
    for base in bases {
        let id = base.file_name().and_then(|name| name.to_str()?.strip_prefix("bulkhead-")).map(str::to_owned);
        if let Some(id) = id.filter(|id| id.len() == 6 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))) {
            found.entry(id).or_default().push(base);
        }
    }
    found
}

fn is_busy(group: &Path) -> bool {
    let own = ["cgroup.procs", "tasks"].iter().any(|file| !files::read(&group.join(file)).trim().is_empty());
    own || fs::read_dir(group).into_iter().flatten().flatten().any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_busy(&entry.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_told_from_the_command_line_of_whoever_serves_it() {
        assert_eq!(root_served(b"/opt/bulkhead-launcher\0--root\0/r\0--run\0/r/run\0"), Some(PathBuf::from("/r")));
        assert_eq!(root_served(b"bulkhead-launcher\0--root\0"), Some(PathBuf::new()));
        assert_eq!(root_served(b"bulkhead-launcher\0--orphans\0"), None);
    }

    #[test]
    fn orphans_are_told_in_one_sentence_and_none_in_none() {
        assert_eq!(describe(&Orphans::new()), None);
        let told = describe(&Orphans::from([("abc123".to_owned(), vec!["bhabc1230".to_owned()])])).unwrap();
        assert_eq!(told, "1 roots that are no more left something on this host: abc123 (bhabc1230)");
    }
}
