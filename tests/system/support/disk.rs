//! A small disk that can be full.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::shell::output;

/// A file system of its own, gone with this value.
#[derive(Debug)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// So large, at a folder that is made. None, and a word about it, where nobody may mount one.
    pub(crate) fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        let said = "\n*** NOT TESTED: a full disk. It needs the right to mount a tmpfs. ***\n";
        std::io::stderr().write_all(said.as_bytes()).unwrap();
        None
    }

    /// Now as large as this.
    #[track_caller]
    pub(crate) fn grow(&self, size: &str) {
        output(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
