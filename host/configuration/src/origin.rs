//! What holds, and where it comes from: each value that a file writes with its line, and beside them what holds because no file
//! says otherwise. The latter are taken from what the reader made of the files, so they are what a host goes by.

use std::path::Path;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Place, visible};
use crate::load::{HOST_FILE, Loaded, read_text, shown};

mod defaults;

use defaults::Unsaid;

/// A value is cut to this many characters.
const SHOWN: usize = 200;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The file that it belongs to.
    pub file: String,
    /// With dots; an entry of a list of tables by its number from 0.
    pub key: String,
    /// As a file would spell it.
    pub value: String,
    /// Where it is written; none: it stands in no file.
    pub line: Option<usize>,
    /// Who says it.
    pub from: Origin,
}

/// Who says a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A line of the file.
    File,
    /// Nobody: it is what holds then.
    Default,
    /// The environment of whoever asks.
    Environment,
}

/// A value that a file writes.
struct Written {
    key: String,
    value: String,
    line: usize,
}

impl Written {
    /// An empty word of a ladder or a role says nothing: what stands below it holds.
    fn says_nothing(&self) -> bool {
        let last = self.key.rsplit('.').next();
        let is_rung = self.key.starts_with("roles.") && matches!(last, Some("model" | "effort"));
        is_rung && matches!(self.value.trim_matches(['"', '\'']).trim(), "")
    }
}

/// All values of the files, each file's in its order, and then its defaults. The files were loaded: no secret is in them.
pub fn origins(dir: &Path, loaded: &Loaded) -> Vec<Setting> {
    let mut all = of_file(&dir.join(HOST_FILE), HOST_FILE, defaults::of_host(&loaded.host));
    for file in &loaded.projects {
        all.extend(of_file(&file.source, &shown(dir, &file.source), defaults::of_project(file, &loaded.host)));
    }
    all
}

fn of_file(path: &Path, name: &str, unsaid: Vec<Unsaid>) -> Vec<Setting> {
    // It was read a moment ago; what became of it since is told by the next `check`.
    let Some(text) = read_text(path, name, &mut Vec::new()) else { return Vec::new() };
    let (table, _) = DeTable::parse_recoverable(&text);
    let mut written = Vec::new();
    leaves(table.get_ref(), &text, &mut Vec::new(), &mut written);
    written.sort_by_key(|one: &Written| one.line);
    let line_of = |key: &str| written.iter().find(|one| one.key == key).map(|one| one.line);
    let covers = |key: &str, other: &str| other == key || other.starts_with(&format!("{key}."));
    let says = |one: &Written, key: &str| !one.says_nothing() && (covers(key, &one.key) || covers(&one.key, key));
    let setting = |key: String, value: String, line: Option<usize>| {
        let from = if line.is_some() { Origin::File } else { Origin::Default };
        Setting { file: name.to_owned(), key, value, line, from }
    };
    let mut all = Vec::new();
    for Unsaid { key, value, said_by } in unsaid {
        if !written.iter().any(|one| says(one, &key)) {
            all.push(setting(key, cut(&value), said_by.as_deref().and_then(line_of)));
        }
    }
    let own = written.into_iter().filter(|one| !one.says_nothing());
    own.map(|one| setting(one.key, one.value, Some(one.line))).chain(all).collect()
}

fn leaves(table: &DeTable<'_>, text: &str, path: &mut Vec<String>, all: &mut Vec<Written>) {
    for (key, value) in table {
        path.push(visible(key.get_ref()));
        leaf(value, text, path, all);
        path.pop();
    }
}

fn leaf(value: &Spanned<DeValue<'_>>, text: &str, path: &mut Vec<String>, all: &mut Vec<Written>) {
    match value.get_ref() {
        DeValue::Table(table) => leaves(table, text, path, all),
        DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
            for (number, item) in items.iter().enumerate() {
                path.push(number.to_string());
                leaf(item, text, path, all);
                path.pop();
            }
        }
        _ => {
            let words = text.get(value.span()).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
            let line = Place::of(text, value.span()).line;
            all.push(Written { key: path.join("."), value: cut(&words), line });
        }
    }
}

fn cut(words: &str) -> String {
    let cut: String = words.chars().take(SHOWN).collect();
    if cut.len() < words.len() { format!("{cut}…") } else { cut }
}
