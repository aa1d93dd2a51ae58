//! What a ticket changes, before somebody is asked whether it may go on.

use domain::plugin::{ChangeKind, ChangedFile};
use domain::task::Task;

use crate::api::{Block, ChangeView};
use crate::app::GatewayState;
use crate::change;
use crate::show::line;
use crate::tongue::{Tongue, say};

/// Characters of a path.
const LONGEST_PATH: usize = 300;
/// Digits of a commit's id that people compare.
const SHORT: usize = 12;
/// More files than these are folded away.
const OPEN: usize = 12;

/// What a change is.
pub(super) struct Changed {
    /// `base..head`.
    pub(super) span: String,
    /// How much it is, or why that is not known; none: nobody can look.
    pub(super) sum: Option<Result<String, String>>,
    pub(super) files: Vec<File>,
    /// Files that are not named.
    pub(super) more: u64,
    /// The line by which all of it is seen.
    pub(super) command: String,
}

impl Changed {
    /// The list is not longer than what stands around it.
    pub(super) fn is_open(&self) -> bool {
        self.files.len() <= OPEN
    }
}

/// One file of it.
pub(super) struct File {
    pub(super) path: String,
    pub(super) what: String,
}

/// None: nothing changed yet.
pub(super) fn read(state: &GatewayState, t: Tongue, task: &Task) -> Option<Changed> {
    let ChangeView { base, head, command, outline, .. } = change::of(&*state.desk, task);
    let (base, head, command) = (base?, head?, command?);
    let (sum, files, more) = match outline {
        None => (None, Vec::new(), 0),
        Some(Block::Broken { error }) => (Some(Err(line(&error, 300))), Vec::new(), 0),
        Some(Block::Fine(outline)) => {
            let files = t.count(outline.files, ["file", "files"], ["файл", "файла", "файлов"]);
            let (added, deleted) = (outline.added_lines, outline.deleted_lines);
            let more = outline.files.saturating_sub(outline.listed.len() as u64);
            let sum =
                say!(t, "{files} changed, +{added} −{deleted} lines", "изменено: {files}, строк: +{added} −{deleted}");
            (Some(Ok(sum)), outline.listed.iter().map(|row| file(t, row)).collect(), more)
        }
    };
    let span = format!("{}..{}", &base.as_str()[..SHORT], &head.as_str()[..SHORT]);
    Some(Changed { span, sum, files, more, command: line(&command, 1000) })
}

fn file(t: Tongue, row: &ChangedFile) -> File {
    let (added, deleted) = (row.added_lines, row.deleted_lines);
    let lines =
        if row.binary { t.of("no text", "не текст").to_owned() } else { format!("+{added} −{deleted}") };
    let from = row.old_path.as_deref().map(|old| line(old, LONGEST_PATH)).unwrap_or_default();
    let what = match row.change {
        ChangeKind::Added => say!(t, "new, {lines}", "новый, {lines}"),
        ChangeKind::Deleted => say!(t, "deleted, {lines}", "удалён, {lines}"),
        ChangeKind::Renamed => say!(t, "was {from}, {lines}", "был {from}, {lines}"),
        ChangeKind::Copied => say!(t, "copied from {from}, {lines}", "скопирован с {from}, {lines}"),
        ChangeKind::TypeChanged => say!(t, "of another kind now, {lines}", "теперь другого вида, {lines}"),
        ChangeKind::Modified => lines,
    };
    File { path: line(&row.path, LONGEST_PATH), what }
}
