//! `docs/behaviours.md`: a row for each behaviour, what holds it, and whether that ran.

use std::collections::BTreeMap;

use crate::source_tests::SourceTest;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// As `B1.1`.
    pub id: String,
    /// In words.
    pub holds: String,
    /// What shows it.
    pub tests: Vec<TestPath>,
    /// The sentences of docs/ARCHITECTURE.md that take its place, or a part of it.
    pub overruled: Vec<String>,
    /// The parts that bring the rest of it.
    pub later: Vec<String>,
}

/// A test as `package::module::name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestPath {
    /// With `_` for `-`.
    pub package: String,
    /// As cargo's output says it.
    pub path: String,
}

impl std::fmt::Display for TestPath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}::{}", self.package, self.path)
    }
}

impl TestPath {
    fn read(text: &str) -> Option<Self> {
        let (package, path) = text.split_once("::")?;
        let is_path = text.chars().all(|one| one.is_ascii_alphanumeric() || one == '_' || one == ':');
        is_path.then(|| Self { package: package.to_owned(), path: path.to_owned() })
    }

    /// Its function.
    pub fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap_or_default()
    }

    /// Whether a source says that there is this test.
    pub fn is(&self, source: &SourceTest) -> bool {
        let mut modules = self.path.split("::").collect::<Vec<_>>();
        modules.pop();
        if modules.last() == Some(&"tests") {
            modules.pop();
        }
        let stands =
            if source.is_listed { source.modules.ends_with(&owned(&modules)) } else { source.modules == modules };
        stands && self.name() == source.name && self.is_in_package_of(source)
    }

    /// Whether it is of that one's package.
    pub fn is_in_package_of(&self, source: &SourceTest) -> bool {
        self.package == source.package.replace('-', "_")
    }
}

fn owned(modules: &[&str]) -> Vec<String> {
    modules.iter().map(|&module| module.to_owned()).collect()
}

/// The rows of the page.
///
/// # Errors
/// Says which line is no row, and why.
pub fn behaviours(page: &str) -> Result<Vec<Behaviour>, String> {
    let rows = page.lines().enumerate().filter(|(_, line)| line.starts_with('|'));
    let rows = rows.filter(|(_, line)| !line.starts_with("| id |") && !line.starts_with("| ---"));
    rows.map(|(index, line)| row(line).map_err(|why| format!("line {}: {why}", index + 1))).collect()
}

fn row(line: &str) -> Result<Behaviour, String> {
    let bare = line.trim().trim_start_matches('|');
    let bare = bare.strip_suffix('|').unwrap_or(bare);
    let cells = bare.split('|').map(str::trim).collect::<Vec<_>>();
    let [id, holds, tests, besides] = cells.as_slice() else {
        return Err(format!("a row has four cells, this one {}", cells.len()));
    };
    let mut row = Behaviour {
        id: (*id).to_owned(),
        holds: (*holds).to_owned(),
        tests: Vec::new(),
        overruled: Vec::new(),
        later: Vec::new(),
    };
    for test in tests.split(',').map(str::trim).filter(|test| !test.is_empty()) {
        let bare = test.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        let path = bare.and_then(TestPath::read);
        row.tests.push(path.ok_or_else(|| format!("{test} is no test as `package::module::name`"))?);
    }
    let mut rest = *besides;
    while !rest.is_empty() {
        rest = if let Some(quoted) = rest.strip_prefix("overruled: \"") {
            let (sentence, rest) = quoted.split_once('"').ok_or("a quotation has no end")?;
            row.overruled.push(sentence.to_owned());
            rest
        } else if let Some(part) = rest.strip_prefix("later: ") {
            let end = part.find(';').unwrap_or(part.len());
            row.later.push(part[..end].to_owned());
            &part[end..]
        } else {
            return Err(format!("`{rest}` is neither `overruled: \"…\"` nor `later: …`"));
        };
        rest = rest.trim_start_matches([';', ' ']);
    }
    if row.holds.is_empty() || (row.tests.is_empty() && row.overruled.is_empty() && row.later.is_empty()) {
        return Err(format!("{id} says nothing, or names nothing that holds it"));
    }
    Ok(row)
}

/// The tests of the page that did not end well in this output of `cargo test`, each with the ids of its rows and what became of it.
pub fn not_run(behaviours: &[Behaviour], output: &str) -> Vec<String> {
    let ended = ended(output);
    let mut missing = BTreeMap::new();
    for row in behaviours {
        for test in &row.tests {
            let words = ended.get(test.path.as_str()).map_or(&[][..], Vec::as_slice);
            let why = match words.iter().find(|word| **word != "ok") {
                Some(word) => (*word).to_owned(),
                None if words.is_empty() => "did not run".to_owned(),
                None => continue,
            };
            missing.entry((test.to_string(), why)).or_insert_with(Vec::new).push(row.id.as_str());
        }
    }
    missing.into_iter().map(|((test, why), ids)| format!("{}: {test}: {why}", ids.join(", "))).collect()
}

/// How each test ended, in the words of the output. What a test's own child printed may stand before it on its line.
fn ended(output: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut found = BTreeMap::new();
    for line in output.lines() {
        let Some((before, word)) = line.split_once(" ... ") else { continue };
        let Some((_, path)) = before.rsplit_once("test ").filter(|(_, path)| !path.is_empty()) else { continue };
        let path = path.strip_suffix(" - should panic").unwrap_or(path);
        let word = word.split_whitespace().next().unwrap_or_default().trim_end_matches(',');
        found.entry(path).or_insert_with(Vec::new).push(word);
    }
    found
}
