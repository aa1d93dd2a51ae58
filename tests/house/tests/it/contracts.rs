//! The door between host and components: the frozen shape of the WIT.

use std::fmt::Write as _;

use house::files;
use sha2::{Digest as _, Sha256};

const HOW_IT_AGES: &str = "\
The WIT changed. A component that is out there was built against the old text, and the runtime compares fields and cases exactly.
Compatible: a new package; a new import of a world; a new function of an interface that only the host implements.
Never: a field, a case or a function changed, removed or reordered, an import taken away. Words of open types and the list
`more` of a record are the places to grow in. Anything else is a new version of the package beside the old one.
If this change is compatible, or nothing was released yet: `cargo insta review`.";

/// Without comments and without blanks: how it is written may change, what it says may not.
fn shape(text: &str) -> String {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_wit_keeps_its_frozen_shape() {
    let mut table = String::new();
    for file in files().into_iter().filter(|file| file.path.starts_with("wit/")) {
        let digest = Sha256::digest(shape(&file.text));
        let short = digest[..8].iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let _ = writeln!(table, "{short} {}", file.path);
    }
    insta::with_settings!({ description => HOW_IT_AGES, omit_expression => true }, {
        insta::assert_snapshot!(table);
    });
}

#[test]
fn a_comment_is_no_change_of_shape() {
    assert_eq!(shape("record a {\n  // why\n  b: u8, /// what\n}"), shape("record a { b: u8, }"));
    assert_ne!(shape("record a { b: u8, }"), shape("record a { b: u16, }"));
}
