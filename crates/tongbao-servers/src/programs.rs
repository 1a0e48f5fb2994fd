//! Finding other people's programs and running them.

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// Where Debian keeps commands that are not on everybody's path.
const MORE_FOLDERS: &[&str] = &["/usr/local/bin", "/usr/bin", "/usr/sbin", "/sbin"];

/// The program called `name`, from the path or from where Debian hides it.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = MORE_FOLDERS.iter().map(PathBuf::from);
    let folders = std::env::split_paths(&path).chain(more).chain(postgres_folders());
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The folders of PostgreSQL's programs, the newest version first.
fn postgres_folders() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path()).collect();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    found.sort_by_key(|path| std::cmp::Reverse(number(path)));
    found.into_iter().map(|path| path.join("bin")).collect()
}

/// Whether we may install things and must hand servers to another user.
pub fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// Runs a command to its end; an error names it if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("cannot start {shown}"))?;
    ensure!(status.success(), "{shown} ended with {status}");
    Ok(())
}

/// What a command prints on stdout.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command.output().with_context(|| format!("cannot start {shown}"))?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown} ended with {}: {problem}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn show(command: &Command) -> String {
    let parts = std::iter::once(command.get_program()).chain(command.get_args());
    let text: Vec<_> = parts.map(|p| p.to_string_lossy().into_owned()).collect();
    text.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_name_and_a_strange_name_is_not() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-as-this"), None);
    }

    #[test]
    fn a_failing_command_is_named() {
        let error = run(&mut Command::new("false")).unwrap_err();
        assert!(error.to_string().contains("false ended with"));
    }
}
