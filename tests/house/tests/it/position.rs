//! Nobody advances a task: its position is written in one statement, and changed by one function.

use house::{SourceFile, files};

/// The host's code, without its tests and benches.
fn host() -> Vec<SourceFile> {
    let is_product = |file: &SourceFile| {
        file.is_rust()
            && file.path.starts_with("host/")
            && file.path.contains("/src/")
            && !file.path.contains("/tests")
            && !file.path.contains("/conformance/")
    };
    files().into_iter().filter(is_product).collect()
}

#[test]
fn the_update_of_a_position_stands_once_in_the_code_base() {
    let mut found = Vec::new();
    for file in host() {
        let flat = file.text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        for _ in flat.matches("update task set") {
            found.push(file.path.clone());
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("host/store/src/"), "{found:?}");
}

/// `task.field = …` anywhere but in the fold would be a change that no entry tells of.
#[test]
fn nothing_but_the_fold_changes_a_task() {
    let mut found = Vec::new();
    for file in host() {
        let decides = ["host/engine/", "host/conductor/"].iter().any(|folder| file.path.starts_with(folder));
        for (number, line) in file.code_lines() {
            let assigns_position = assigned_path(line).is_some_and(|path| path.contains("position."));
            let assigns_task = assigned_path(line).is_some_and(|path| path.split('.').rev().nth(1) == Some("task"));
            let is_fold = file.path == "host/domain/src/entry.rs";
            if !is_fold && (assigns_position || (decides && assigns_task)) {
                found.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "only entries change a task:\n{}", found.join("\n"));
}

/// The dotted path on the left of an assignment.
fn assigned_path(line: &str) -> Option<&str> {
    let left = [" = ", " += ", " -= "].iter().find_map(|sign| Some(line.split_once(sign)?.0))?.trim();
    let is_path = left.contains('.') && left.chars().all(|one| one.is_alphanumeric() || one == '.' || one == '_');
    is_path.then_some(left)
}

#[test]
fn the_rule_knows_what_it_looks_for() {
    assert_eq!(assigned_path("    plan.task.retries += 1;"), Some("plan.task.retries"));
    assert_eq!(assigned_path("let head = plan.task.head.clone();"), None);
    assert_eq!(assigned_path("if task.head == other.head {"), None);
    let fold = files().into_iter().find(|file| file.path == "host/domain/src/entry.rs").unwrap();
    let assigned = fold.code_lines().filter_map(|(_, line)| assigned_path(line)).collect::<Vec<_>>();
    assert!(assigned.contains(&"task.position.stage"), "{assigned:?}");
}
