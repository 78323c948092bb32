//! The same archive results in the same tree with GNU tar and with our tool.
#![cfg(test)]

use std::process::Command;
use tests::fetch::{As, Scratch, is_root};
use tests::tree::{differences, tree};

/// A tree with everything that tar can store, created by the shell.
const RICH: &str = r#"
set -e
mkdir -p src/usr/bin src/usr/share/empty src/var/read-only src/spaces\ and\ ümläuts
cd src
printf 'hello\n' > usr/bin/hello; chmod 755 usr/bin/hello
printf 'x' > usr/bin/set-id; chmod 6755 usr/bin/set-id
printf 'x' > none; chmod 000 none
printf 'n' > "new
line"
ln usr/bin/hello usr/bin/hard; ln usr/bin/hello usr/bin/harder
ln -s usr/bin bin; ln -s /nonexistent/absolute dangling; ln -s ../../up usr/bin/up
mkfifo pipe; chmod 620 pipe
truncate -s 20M sparse; printf 'in the middle' | dd of=sparse bs=1 seek=10000000 conv=notrunc status=none
printf 'end' >> sparse
i=0; while [ $i -lt 300 ]; do echo $i > usr/share/f$i; i=$((i+1)); done
long=$(printf 'l%.0s' $(seq 200)); mkdir $long; echo long > $long/$long
ln -s $long/$long usr/link-to-long
head -c 700000 /dev/urandom > usr/large
touch -d '1969-12-31 23:59:58.5 UTC' usr/before; touch -d '2100-01-01 00:00:00.123456789 UTC' usr/after
touch -h -d '2001-02-03 04:05:06.7 UTC' bin
chmod 1777 var; touch -d '2010-01-01' var/read-only; chmod 555 var/read-only
touch -d '2011-11-11' usr/share usr
"#;

fn shell(scratch: &Scratch, script: &str) {
    let output =
        Command::new("sh").arg("-c").arg(script).current_dir(scratch.work()).output().expect("sh starts");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

fn same(scratch: &Scratch) {
    let (ours, theirs) = (scratch.work().join("ours"), scratch.work().join("theirs"));
    let mut different = differences(&ours, &theirs);
    // the archive contains the root itself only as "."
    different.retain(|(name, _)| !name.as_os_str().is_empty());
    assert_eq!(different, []);
}

#[test]
fn a_rich_tree_is_unpacked_as_gnu_tar_does_in_every_format() {
    for format in ["gnu", "posix", "ustar", "oldgnu"] {
        let scratch = Scratch::new();
        shell(&scratch, RICH);
        // ustar has no long names and no time before 1970
        let less = if format == "ustar" {
            "--exclude=lll* --exclude=link-to-long --exclude=before"
        } else {
            "--sparse"
        };
        // only root can read files of mode 000
        let none = if is_root() { "" } else { "--exclude=./none" };
        shell(&scratch, &format!("tar -C src --format={format} {less} {none} -cf a.tar . 2>/dev/null"));
        shell(&scratch, "mkdir theirs && tar -C theirs --numeric-owner -xpf a.tar 2>/dev/null");
        let outcome = scratch.feed(As::Caller, b"", &["-q", "a.tar", "ours"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{format}");
        same(&scratch);
    }
}

#[test]
fn each_version_of_sparse_files_is_unpacked_as_gnu_tar_does() {
    for version in ["0.0", "0.1", "1.0"] {
        let scratch = Scratch::new();
        shell(&scratch, RICH);
        shell(
            &scratch,
            &format!("tar -C src --format=posix --sparse-version={version} --sparse -cf a.tar sparse"),
        );
        shell(&scratch, "mkdir theirs && tar -C theirs --numeric-owner -xpf a.tar");
        let outcome = scratch.feed(As::Caller, b"", &["-q", "a.tar", "ours"]);
        assert_eq!(outcome.code, Some(0), "{version}: {outcome:?}");
        same(&scratch);
    }
}

mod peers {
    use super::*;

    #[test]
    #[ignore = "needs setfacl"]
    fn lists_of_access_are_those_gnu_tar_makes_of_what_it_wrote() {
        let scratch = Scratch::new();
        shell(
            &scratch,
            "mkdir -p src/d/e src/etc && cd src && cp /etc/passwd /etc/group etc && echo x > d/f && echo y > d/e/g \
         && setfacl -m u:1:rw,g:2:r,m::rw d/f && setfacl -d -m u:3:rwx,o::- d && setfacl -m u:4:- d/e",
        );
        shell(&scratch, "tar -C src --format=posix --acls --numeric-owner -cf a.tar etc d");
        shell(&scratch, "mkdir theirs && tar -C theirs --acls --numeric-owner -xpf a.tar");
        let outcome = scratch.feed(As::Caller, b"", &["-q", "a.tar", "ours"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        // it is in the archive, and is compared
        let list = tree(&scratch.work().join("ours"));
        assert!(
            list.iter()
                .any(|(name, entry)| name.ends_with("f") && entry.to_string().contains("posix_acl_access"))
        );
        same(&scratch);
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root, for owners and device nodes"]
    fn owners_and_devices_are_those_gnu_tar_makes_as_root() {
        let scratch = Scratch::new();
        shell(&scratch, RICH);
        shell(
            &scratch,
            "cd src && chown 1234:5678 usr/bin/hello && chown 7:8 var && chown -h 99:98 bin && chown 4000000000:1 usr/after \
         && chown 3:4 usr/bin/set-id && chmod 6755 usr/bin/set-id && mknod null c 1 3 && mknod loop b 7 200",
        );
        shell(&scratch, "tar -C src --format=posix --sparse --numeric-owner -cf a.tar .");
        shell(&scratch, "mkdir theirs && tar -C theirs --numeric-owner -xpf a.tar");
        let outcome = scratch.feed(As::Caller, b"", &["-q", "--devices=keep-mode", "a.tar", "ours"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        same(&scratch);
    }
}
