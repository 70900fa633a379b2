//! Whether files have changed: their times and lengths.
//!
//! Taken before the files are read, so a change while they are read is seen at the next look. Not here: how often is
//! looked, and what is done then.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What some files looked like; a file that is missing is a look as well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Stamp {
    #[must_use]
    pub fn of(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let look = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Self(files.into_iter().map(|path| (path.as_ref().to_path_buf(), look(path.as_ref()))).collect())
    }

    /// The files that were looked at.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| path.as_path())
    }

    /// A look at the same files now.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::of(self.files())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_to_a_file_is_seen() {
        let directory = tempfile::tempdir().expect("directory");
        let file = directory.path().join("a.pem");
        let missing = Stamp::of([&file]);
        std::fs::write(&file, "one").expect("written");
        let written = missing.again();
        assert_ne!(written, missing);
        assert_eq!(written.again(), written);
        std::fs::write(&file, "three").expect("written");
        assert_ne!(written.again(), written);
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(written.again(), missing);
    }
}
