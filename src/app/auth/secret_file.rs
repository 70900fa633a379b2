//! Files that hold keys: read within a limit, and frowned at when everybody may read them.
//!
//! Not here: what the keys are for.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

const BYTES_MAX: u64 = 64 * 1024;

/// The text of a file of keys.
///
/// # Errors
/// Words with the file's name, and none of its contents.
pub fn read(file: &str) -> Result<String, String> {
    let refuse = |reason: &dyn std::fmt::Display| format!("{file}: {reason}");
    let opened = File::open(file).map_err(|error| refuse(&error))?;
    let mode = opened.metadata().map_err(|error| refuse(&error))?.permissions().mode();
    if mode & 0o007 != 0 {
        tracing::warn!(file, "a file of keys may be read by every user of this machine");
    }
    let mut text = String::new();
    // One byte more tells a file that is too long from one that just fits.
    opened.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| refuse(&error))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(refuse(&format!("has more than {BYTES_MAX} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_text_or_too_long_is_refused_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys").display().to_string();
        assert!(read(&file).expect_err("missing").contains(&file));
        for contents in [vec![0xff; 9], vec![b'x'; BYTES_MAX as usize + 1]] {
            std::fs::write(&file, contents).expect("written");
            assert!(read(&file).expect_err("refused").starts_with(&file));
        }
        std::fs::write(&file, vec![b'x'; BYTES_MAX as usize]).expect("written");
        assert_eq!(read(&file).map(|text| text.len()), Ok(BYTES_MAX as usize));
    }
}
