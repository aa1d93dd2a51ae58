//! What a task changes: told before a person is asked whether it may go on.

use domain::task::{Task, Terminality};

use crate::api::{Block, ChangeOutline, ChangeView};
use crate::desk::{Desk, Outline};

/// Files that are named; of the others their number is told.
const LISTED: usize = 100;

/// Asks the desk, which may take seconds.
pub(crate) fn of(desk: &dyn Desk, task: &Task) -> ChangeView {
    let none = ChangeView { task: task.id, base: None, head: None, command: None, outline: None };
    // What was stopped has no branch any more, and what was cut from its base is no change yet.
    let Some(head) = task.head.clone().filter(|head| task.base.as_ref() != Some(head)) else { return none };
    if task.end() == Some(Terminality::Cancelled) {
        return none;
    }
    let looked = desk.outline(task);
    let base = match &looked {
        Some(Ok(Outline { base, .. })) => Some(base.clone()),
        Some(Err(_)) | None => task.base.clone(),
    };
    let command = base.as_ref().map(|base| desk.diff_command(task, base, &head));
    let outline = looked.map(|looked| match looked {
        Ok(outline) => Block::Fine(counted(outline)),
        Err(error) => Block::Broken { error },
    });
    ChangeView { base, head: Some(head), command, outline, ..none }
}

fn counted(Outline { mut files, .. }: Outline) -> ChangeOutline {
    let added_lines = files.iter().map(|file| u64::from(file.added_lines)).sum();
    let deleted_lines = files.iter().map(|file| u64::from(file.deleted_lines)).sum();
    let all = files.len() as u64;
    files.truncate(LISTED);
    ChangeOutline { files: all, added_lines, deleted_lines, listed: files }
}
