//! `docs/configuration.md` explains each table and each key that the reader knows, and its examples load.

use std::path::Path;

use crate::keys;
use crate::tests::world::World;

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    std::fs::read_to_string(path).unwrap()
}

/// The part of the document below the heading that names a table.
fn part<'d>(document: &'d str, table: &str) -> &'d str {
    let heading = document
        .lines()
        .find(|line| line.starts_with("##") && line.contains(&format!("`{table}`")))
        .unwrap_or_else(|| panic!("no heading names `{table}`"));
    let start = document.find(heading).unwrap() + heading.len();
    let rest = &document[start..];
    &rest[..rest.find("\n##").unwrap_or(rest.len())]
}

#[test]
fn every_key_of_every_table_is_explained() {
    let document = document();
    for shape in keys::ALL {
        let part = part(&document, shape.name);
        for key in shape.keys {
            assert!(part.contains(&format!("| `{key}` |")), "the part on `{}` has no row for `{key}`", shape.name);
        }
    }
}

#[test]
fn no_key_is_explained_that_is_not_read() {
    let document = document();
    for shape in keys::ALL {
        for row in part(&document, shape.name).lines() {
            let Some(key) = row.strip_prefix("| `").and_then(|rest| rest.split('`').next()) else { continue };
            assert!(shape.keys.contains(&key), "the part on `{}` explains `{key}`, which is not read", shape.name);
        }
    }
}

/// A block of the document is loaded if its first line names the file that it is: `# projects/app.toml`.
#[test]
fn the_examples_load() {
    let document = document();
    let world = World::new();
    let mut loaded = 0;
    for block in document.split("```toml\n").skip(1) {
        let block = &block[..block.find("```").unwrap()];
        let Some(file) =
            block.lines().next().and_then(|line| line.strip_prefix("# ")).filter(|file| file.contains(".toml"))
        else {
            continue;
        };
        world.write(file, block);
        world.write("plugins/no-todo.wasm", "");
        assert_eq!(world.complaints(), "nothing is wrong\n", "{block}");
        loaded += 1;
    }
    assert!(loaded >= 3, "{loaded}");
}
