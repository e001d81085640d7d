//! Who a process is: `user[:group]` as Docker takes it, resolved by the image's own /etc/passwd and /etc/group.

use bulkhead_wire::failure::quote;
use bulkhead_wire::{Code, Failure};

#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: String,
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// A numeric user need not be in the files; a name must. Without a group, the user's own and all that list them.
pub fn resolve(spec: &str, additional: &[String], passwd: &str, group: &str) -> Result<Account, Failure> {
    let (user, wanted_group) = match spec.split_once(':') {
        Some((user, group)) => (user, group),
        None => (spec, ""),
    };
    let user = if user.is_empty() { "0" } else { user };
    let numeric = user.parse::<u32>().ok();
    // A name made of digits wins over the number, as in every other runtime.
    let known = users(passwd).find(|entry| entry.name == user).or_else(|| users(passwd).find(|entry| Some(entry.uid) == numeric));
    let mut account = match (&known, numeric) {
        (Some(entry), _) => Account { uid: entry.uid, gid: entry.gid, groups: Vec::new(), home: entry.home.to_owned() },
        (None, Some(uid)) => Account { uid, gid: 0, groups: Vec::new(), home: String::new() },
        (None, None) => return Err(unknown("user", user)),
    };
    if account.home.is_empty() {
        account.home = "/".to_owned();
    }
    if !wanted_group.is_empty() {
        account.gid = find_group(wanted_group, group)?;
    } else if let Some(entry) = &known {
        account.groups.extend(groups(group).filter(|line| line.members.split(',').any(|member| member == entry.name)).map(|line| line.gid));
    }
    for name in additional {
        account.groups.push(find_group(name, group)?);
    }
    account.groups.sort_unstable();
    account.groups.dedup();
    Ok(account)
}

fn unknown(what: &str, name: &str) -> Failure {
    Failure::new(Code::CommandNotExecutable, format!("the image has no {what} {}", quote(name)))
        .remedy(format!("name a {what} that is in the image, or its number"))
}

fn find_group(name: &str, group: &str) -> Result<u32, Failure> {
    match groups(group).find(|line| line.name == name) {
        Some(line) => Ok(line.gid),
        None => name.parse::<u32>().map_err(|_| unknown("group", name)),
    }
}

fn users(passwd: &str) -> impl Iterator<Item = User<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { name, uid, gid, home: fields.nth(1).unwrap_or("") })
    })
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    group.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some(Group { name, gid, members: fields.next().unwrap_or("") })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/var/www:/bin/sh\n77:x:5:5::/five:\nbroken\n:::\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\nlogs:x:4:syslog,web\nadm:x:9:web\nbroken:x\n";

    fn of(spec: &str) -> Account {
        resolve(spec, &[], PASSWD, GROUP).unwrap()
    }

    #[test]
    fn nothing_named_is_root() {
        assert_eq!(of(""), Account { uid: 0, gid: 0, groups: vec![], home: "/root".into() });
    }

    #[test]
    fn a_name_brings_its_group_its_other_groups_and_its_home() {
        assert_eq!(of("web"), Account { uid: 33, gid: 34, groups: vec![4, 9], home: "/var/www".into() });
        assert_eq!(of("33"), of("web"));
    }

    #[test]
    fn a_named_group_replaces_the_others() {
        assert_eq!(of("web:adm"), Account { uid: 33, gid: 9, groups: vec![], home: "/var/www".into() });
        assert_eq!(of("web:1234").gid, 1234);
    }

    #[test]
    fn numbers_need_no_entry_and_a_name_of_digits_wins() {
        assert_eq!(of("1000"), Account { uid: 1000, gid: 0, groups: vec![], home: "/".into() });
        assert_eq!(of("77").uid, 5);
        assert_eq!(resolve("1:2", &[], "", "").unwrap(), Account { uid: 1, gid: 2, groups: vec![], home: "/".into() });
    }

    #[test]
    fn unknown_names_are_refused_as_commands_that_cannot_run() {
        for spec in ["nobody", "web:none", ":none", "-1", "4294967296"] {
            assert_eq!(resolve(spec, &[], PASSWD, GROUP).unwrap_err().code, Code::CommandNotExecutable, "{spec}");
        }
        assert!(resolve("", &["none".into()], PASSWD, GROUP).is_err());
    }

    #[test]
    fn additional_groups_are_taken_by_name_and_number_once() {
        assert_eq!(resolve("web", &["www".into(), "4".into()], PASSWD, GROUP).unwrap().groups, vec![4, 9, 34]);
    }
}
