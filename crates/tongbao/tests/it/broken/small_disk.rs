//! A disk that can be filled: a file system in memory, in a mount namespace of its own, so that
//! nobody else sees it and it goes when the test does. Linux only.

use super::field::Place;
use crate::world::fresh_folder;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Enough for the database, its log and the files of a few hundred payments.
const SIZE: &str = "256m";

/// Mounted until it is dropped.
pub(crate) struct SmallDisk {
    /// The process that holds the namespace; it ends when its stdin does.
    keeper: Child,
    /// The folder as programs in the namespace call it.
    inside: PathBuf,
    /// What enters the namespace.
    enter: Vec<String>,
}

impl SmallDisk {
    /// Mounts one. Where this user may not, the test says so and ends; under CI that is a failure.
    pub(crate) fn open() -> Option<SmallDisk> {
        let inside = fresh_folder("disk");
        // Root needs no user namespace; others may have one to be root in.
        let ways: [(&[&str], &[&str]); 2] =
            [(&[], &[]), (&["--map-root-user"], &["--user", "--preserve-credentials"])];
        for (unshare, nsenter) in ways {
            if let Some(keeper) = keep(unshare, &inside) {
                let target = format!("--target={}", keeper.id());
                let enter = ["nsenter", &target, "--mount"].into_iter().chain(nsenter.to_owned());
                let enter = enter.map(str::to_owned).collect();
                return Some(SmallDisk { keeper, inside, enter });
            }
        }
        let words = "this user may not mount a file system of its own (unshare --mount)";
        assert!(std::env::var_os("CI").is_none(), "{words}");
        eprintln!("skipped: {words}");
        None
    }

    /// Put before a program's name, it runs where the disk is.
    pub(crate) fn prefix(&self) -> Vec<String> {
        self.enter.clone()
    }

    pub(crate) fn place(&self) -> Place {
        let outside = format!("/proc/{}/root{}", self.keeper.id(), self.inside.display());
        Place { inside: self.inside.clone(), outside: outside.into() }
    }

    /// `database.url` of a file there.
    pub(crate) fn database(&self) -> String {
        format!("sqlite://{}/tongbao.db", self.inside.display())
    }

    /// Takes all the room that is left. Say it again for what was given back meanwhile.
    pub(crate) fn fill(&self) {
        let path = self.ballast();
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        for size in [1024 * 1024, 4096] {
            loop {
                match file.write(&vec![1; size]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("the disk cannot be filled: {error}"),
                }
            }
        }
    }

    /// Gives the room back.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.place().outside.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _status = self.keeper.wait();
        let _removed = std::fs::remove_dir(&self.inside);
    }
}

/// A process in a namespace with the disk, if this way works.
fn keep(unshare: &[&str], inside: &PathBuf) -> Option<Child> {
    let script = format!("mount -t tmpfs -o size={SIZE} tmpfs \"$0\" && echo mounted && exec cat");
    let mut command = Command::new("unshare");
    command.args(unshare).args(["--mount", "--propagation=private", "sh", "-c", &script]);
    command.arg(inside).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut keeper = command.spawn().ok()?;
    let mut line = String::new();
    let stdout = keeper.stdout.take().expect("it is piped");
    let _none = BufReader::new(stdout).read_line(&mut line);
    if line.trim() == "mounted" {
        return Some(keeper);
    }
    let _gone_already = keeper.kill();
    let _status = keeper.wait();
    None
}
