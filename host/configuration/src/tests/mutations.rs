//! Whatever stands in the files, they load or are refused: nothing panics, and each message has a place that can be shown.

use proptest::prelude::*;

use crate::tests::world::{HOST, PROJECT, STAGES, World};
use crate::{PluginAddition, PluginPlace, add_plugin, render};

/// Texts that hurt readers of TOML.
const PIECES: [&str; 16] = [
    "\"",
    "'''",
    "[[stage]]\n",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    "#",
    "é\u{202e}",
    "\0",
    "sk-ant-aaaaaaaaaaaaaaaaaaaaaaaa",
    "99999999999999999999",
    "://a:bcdef@",
    "-----BEGIN",
];

#[derive(Clone, Debug)]
enum Edit {
    Cut { at: usize, length: usize },
    Insert { at: usize, piece: usize },
    Repeat { at: usize, length: usize },
    Swap { at: usize, other: usize, length: usize },
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0..10_000_usize;
    prop_oneof![
        (at.clone(), 1..60_usize).prop_map(|(at, length)| Edit::Cut { at, length }),
        (at.clone(), 0..PIECES.len()).prop_map(|(at, piece)| Edit::Insert { at, piece }),
        (at.clone(), 1..200_usize).prop_map(|(at, length)| Edit::Repeat { at, length }),
        (at.clone(), at, 1..20_usize).prop_map(|(at, other, length)| Edit::Swap { at, other, length }),
    ]
}

fn mutated(text: &str, edits: &[Edit]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for edit in edits {
        let length_of_all = characters.len();
        let range = |at: usize, length: usize| {
            let at = at % (length_of_all + 1);
            at..(at + length).min(length_of_all)
        };
        match *edit {
            Edit::Cut { at, length } => {
                characters.drain(range(at, length));
            }
            Edit::Insert { at, piece } => {
                let at = range(at, 0).start;
                characters.splice(at..at, PIECES[piece].chars());
            }
            Edit::Repeat { at, length } => {
                let piece = characters[range(at, length)].to_vec();
                let end = range(at, length).end;
                characters.splice(end..end, piece);
            }
            Edit::Swap { at, other, length } => {
                for step in 0..length {
                    if length_of_all > 0 {
                        characters.swap((at + step) % length_of_all, (other + step) % length_of_all);
                    }
                }
            }
        }
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn files_load_or_are_refused(
        host in proptest::collection::vec(edit(), 0..4),
        project in proptest::collection::vec(edit(), 0..6),
        drawn: bool,
    ) {
        let base = if drawn { format!("{}{STAGES}", PROJECT.replace("pipeline = \"quick\"\n", "")) } else { PROJECT.to_owned() };
        let world = World::new();
        let text = mutated(&base, &project);
        world.write("gatewright.toml", mutated(HOST, &host));
        world.write("projects/app.toml", &text);
        if let Err(diagnostics) = world.load() {
            prop_assert!(!diagnostics.is_empty());
            for color in [false, true] {
                let shown = render(&diagnostics, color);
                // Within a word it is no key: `task-ant…`.
                let word = |at: usize| shown[..at].ends_with(|before: char| before.is_ascii_alphanumeric());
                prop_assert!(shown.match_indices("sk-ant-aaaaaaaaaaaaaaaa").all(|(at, _)| word(at)), "{shown}");
            }
        }
        let addition = PluginAddition {
            id: crate::tests::world::id("no-todo"),
            place: PluginPlace::Notifier,
            file: "x.wasm".to_owned(),
            sha256: domain::ids::Digest::of(b""),
            grants: Vec::new(),
            refused: Vec::new(),
            settings: None,
        };
        if let Ok(new) = add_plugin(&text, &addition) {
            prop_assert!(new.contains("no-todo"));
        }
    }
}
