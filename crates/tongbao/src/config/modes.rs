//! Who may read the files that hold secrets.

use std::path::{Path, PathBuf};

/// Notes a file that every user of this machine may read. A file that only a group may read is the
/// usual way to share one with the service.
pub(super) fn note(path: &Path, open_files: &mut Vec<PathBuf>) {
    if is_open(path) {
        open_files.push(path.to_owned());
    }
}

#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}
