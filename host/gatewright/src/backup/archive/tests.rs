//! What was changed or cut is refused, by the name of what it is.

use std::path::PathBuf;

use domain::time::Timestamp;

use super::*;

fn manifest() -> Manifest {
    Manifest {
        form: FORM,
        version: "1".into(),
        at: Timestamp(1),
        schema: 1,
        counts: std::collections::BTreeMap::new(),
        blobs: 0,
        absent_blobs: Vec::new(),
        repositories: Vec::new(),
        secrets: false,
        left_out: Vec::new(),
        members: Vec::new(),
    }
}

fn written(dir: &Path) -> PathBuf {
    let path = dir.join("kept");
    let mut archive = Archive::new(File::create(&path).unwrap());
    archive.add_bytes("one", b"first").unwrap();
    archive.add_bytes(&format!("two/{}", "long".repeat(60)), &[7; 2000]).unwrap();
    archive.seal(manifest()).unwrap();
    path
}

#[test]
fn what_was_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let sound = open(&written(dir.path())).unwrap();
    let mut seen = Vec::new();
    sound
        .each(|member, bytes| {
            let mut all = Vec::new();
            bytes.read_to_end(&mut all)?;
            seen.push((member.name.len(), all.len()));
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, [(3, 5), (244, 2000)]);
}

#[test]
fn a_backup_with_any_byte_changed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path());
    let whole = std::fs::read(&path).unwrap();
    // A prime, so that each part of a header is met in some header.
    for at in (0..whole.len()).step_by(11) {
        let mut changed = whole.clone();
        changed[at] ^= 0x11;
        std::fs::write(&path, &changed).unwrap();
        let error = open(&path).expect_err(&format!("byte {at} was changed"));
        assert!(format!("{error:#}").contains("kept"), "byte {at}: {error:#}");
    }
    let mut changed = whole.clone();
    let at = whole.windows(5).position(|bytes| bytes == b"first").unwrap();
    changed[at] = b'F';
    std::fs::write(&path, &changed).unwrap();
    let said = format!("{:#}", open(&path).unwrap_err());
    assert!(said.contains("its seal does not fit: one is not the one that was kept"), "{said}");
}

#[test]
fn a_backup_cut_short_anywhere_or_with_something_behind_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path());
    let whole = std::fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let said = format!("{:#}", open(&path).unwrap_err());
        assert!(said.contains("cut short") && said.contains("kept"), "{length}: {said}");
    }
    std::fs::write(&path, [whole.as_slice(), &[0; 512]].concat()).unwrap();
    assert!(open(&path).is_err());
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile");
    let mut archive = Archive::new(File::create(&path).unwrap());
    // `tar` itself would not write such a name.
    let mut hostile = header(4);
    let name = b"../../escaped";
    hostile.as_mut_bytes()[..name.len()].copy_from_slice(name);
    hostile.set_cksum();
    archive.tar.append(&hostile, b"evil".as_slice()).unwrap();
    archive.seal(manifest()).unwrap();
    let said = format!("{:#}", open(&path).unwrap_err());
    assert!(said.contains("escaped"), "{said}");
}
