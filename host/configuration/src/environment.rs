//! Names of the host's environment: those that a worker sees, and those that none ever does.

use crate::diagnostic::{Problem, quoted};
use crate::reader::Section;

/// Beginnings of names of the host's environment that no worker sees, and why.
const HOST_NAMES: [(&str, &str); 13] = [
    ("GATEWRIGHT_", "the host sets these itself"),
    ("PLANE_", "the tracker's token stays with the host"),
    ("GITEA_", "the forge's token stays with the host"),
    ("FORGEJO_", "the forge's token stays with the host"),
    ("GITHUB_", "the forge's token stays with the host"),
    ("GH_", "the forge's token stays with the host"),
    ("GITLAB_", "the forge's token stays with the host"),
    ("TELEGRAM_", "the chat's token stays with the host"),
    ("SSH_", "it opens the operator's own keys"),
    ("GIT_ASKPASS", "it opens the operator's own credentials"),
    ("GIT_SSH", "it opens the operator's own keys"),
    ("GIT_CONFIG", "it carries credentials and commands"),
    ("LD_", "it loads code into every process"),
];

/// Why a name of the host's environment is for no worker, if it is not.
pub(crate) fn hosts_own(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    HOST_NAMES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, why)| *why)
}

/// `pass-environment`.
pub(crate) fn read(section: &Section<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for text in section.texts("pass-environment") {
        let name = &text.value;
        let formed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit());
        let problem = if let Some(equals) = name.find('=') {
            Problem::at(text.span, "`pass-environment` takes names, not values").of_value().help(format!(
                "write \"{}\" and set it in the host's environment",
                quoted(&name[..equals]).trim_matches('`')
            ))
        } else if !formed {
            Problem::at(text.span, format!("{} is no name of an environment variable", quoted(name))).of_value()
        } else if let Some(why) = hosts_own(name) {
            Problem::at(text.span, format!("{} is never passed to a worker", quoted(name))).of_value().label(why)
        } else {
            names.push(name.clone());
            continue;
        };
        section.report.add(problem);
    }
    names
}
