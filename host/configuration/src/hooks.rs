//! Webhooks: where the host listens for them, and whose secrets a project takes. A secret stands in a file of its own, never here.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use webhooks::{LONGEST_SECRET, Secret, Source};

use crate::diagnostic::{Problem, quoted};
use crate::host::HostConfig;
use crate::keys::{self, Shape};
use crate::paths::Paths;
use crate::reader::{At, Node, Section};

/// Secrets that one source of a project may have: a rotation needs two, and each one costs every delivery a hash of its body.
const SECRETS: usize = 8;

/// What of a tracker or forge outside a project takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookBinding {
    /// Who sends.
    pub source: Source,
    /// What the sender calls the project: a repository's full name or a tracker's id, in lower case.
    pub about: String,
    /// Any of them will do.
    pub secrets: Vec<Secret>,
    /// Where they stand.
    pub secret_files: Vec<PathBuf>,
    /// What is not signed is taken from this machine.
    pub unsigned: bool,
}

/// `[webhooks]` of the host: any address, for the senders are elsewhere.
pub(crate) fn listen(file: &Section<'_>, operator: SocketAddr) -> Option<SocketAddr> {
    let section = file.section("webhooks", &keys::WEBHOOKS)?;
    let text = section.need_text("listen", "listen = \"127.0.0.1:8502\"")?;
    if let Ok(address) = text.value.parse::<SocketAddr>() {
        if meet(address, operator) {
            let message = format!("`listen` of [webhooks] is {address}, and the operator is listened to at {operator}");
            let problem = Problem::at(text.span, message).of_value().label("the operator's port");
            let help = "give it another port: the operator's listener is for people, and this one for senders";
            section.report.add(problem.help(help));
        }
        return Some(address);
    }
    let problem =
        Problem::at(text.span, format!("`listen` of [webhooks] cannot be {}", quoted(&text.value))).of_value();
    section.report.add(problem.label("no address with a port").help(
        "write an address and a port, such as \"127.0.0.1:8502\", or \"0.0.0.0:8502\" where the senders are elsewhere",
    ));
    None
}

/// One port is one listener's: the second would keep the host from starting.
fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || is_any)
}

/// `[webhooks.gitea]` and `[webhooks.plane]` of a project.
pub(crate) fn of_project(file: &Section<'_>, paths: &Paths, host: Option<&HostConfig>) -> Vec<HookBinding> {
    let Some(all) = file.section("webhooks", &keys::PROJECT_WEBHOOKS) else { return Vec::new() };
    let kinds: [(Source, &str, &'static Shape); 2] =
        [(Source::Plane, "plane", &keys::PLANE_HOOK), (Source::Gitea, "gitea", &keys::GITEA_HOOK)];
    let mut bindings = Vec::new();
    for (source, key, shape) in kinds {
        let Some(section) = all.section(key, shape) else { continue };
        tell_if_nobody_listens(&section, host);
        let about = about(source, &section);
        let (secret_files, secrets) = secrets(&section, paths).into_iter().unzip();
        let unsigned = unsigned(&section, host);
        tell_of_no_secret(&section, unsigned);
        if let Some(about) = about {
            bindings.push(HookBinding { source, about, secrets, secret_files, unsigned });
        }
    }
    bindings
}

fn tell_if_nobody_listens(section: &Section<'_>, host: Option<&HostConfig>) {
    if host.is_some_and(|host| host.webhooks.is_none()) {
        let problem = Problem::at(section.span.clone(), format!("nobody listens for {}", section.name));
        section.report.add(problem.help("add `[webhooks]` with `listen = \"127.0.0.1:8502\"` to gatewright.toml"));
    }
}

fn about(source: Source, section: &Section<'_>) -> Option<String> {
    let (key, example) = match source {
        Source::Gitea => ("repository", "repository = \"acme/app\""),
        Source::Plane => ("project", "project = \"6a465d48-476b-4ce0-b92d-3d3a240d4678\""),
    };
    let text = section.need_text(key, example)?;
    let formed = match source {
        Source::Gitea => text.value.split_once('/').is_some_and(|(owner, name)| is_plain(owner) && is_plain(name)),
        Source::Plane => is_uuid(&text.value),
    };
    if formed {
        return Some(text.value.to_lowercase());
    }
    let help = match source {
        Source::Gitea => "write the repository's full name as the forge shows it: OWNER/NAME",
        Source::Plane => "write the project's id: it stands in the address of its board, after `/projects/`",
    };
    let problem =
        Problem::at(text.span, format!("`{key}` of {} cannot be {}", section.name, quoted(&text.value))).of_value();
    section.report.add(problem.help(help));
    None
}

fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_uuid(text: &str) -> bool {
    let parts = text.split('-').map(str::len).collect::<Vec<_>>();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// A file that is not sound is told, and there is none.
fn secrets(section: &Section<'_>, paths: &Paths) -> Vec<(PathBuf, Secret)> {
    let files = section.texts("secret-files");
    if let Some(over) = files.get(SECRETS) {
        let problem = Problem::at(over.span.clone(), format!("more than {SECRETS} secrets in {}", section.name));
        section
            .report
            .add(problem.help("a rotation needs two: the new one, and the old one until the sender has the new one"));
    }
    files.iter().take(SECRETS).filter_map(|text| secret(section, paths, text)).collect()
}

fn secret(section: &Section<'_>, paths: &Paths, text: &At<String>) -> Option<(PathBuf, Secret)> {
    let path = paths.beneath(section.report, &format!("a file in `secret-files` of {}", section.name), text)?;
    let refuse = |message: String, help: &str| {
        section.report.add(Problem::at(text.span.clone(), message).help(help));
        None
    };
    let shown = quoted(&text.value);
    let about = match fs::metadata(&path) {
        Ok(about) if about.is_file() => about,
        Ok(_) => return refuse(format!("{shown} is no file"), "name a file that holds the secret and nothing else"),
        Err(error) => {
            let help = "make it with `openssl rand -hex 32 > FILE && chmod 600 FILE`, and give the sender the same";
            return refuse(format!("the file {shown} cannot be read: {error}"), help);
        }
    };
    if about.permissions().mode() & 0o077 != 0 {
        let help = format!("`chmod 600 {}`", path.display());
        return refuse(format!("others on this machine may read the secret in {shown}"), &help);
    }
    match read(&path).map(|bytes| Secret::new(&bytes)) {
        Ok(Ok(secret)) => Some((path, secret)),
        Ok(Err(error)) => {
            refuse(format!("the secret in {shown} is none: {error}"), "`openssl rand -hex 32` makes a good one")
        }
        Err(error) => {
            refuse(format!("the file {shown} cannot be read: {error}"), "give it to the user that the host runs as")
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LONGEST_SECRET as u64 + 3).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unsigned(section: &Section<'_>, host: Option<&HostConfig>) -> bool {
    let Some(node) = section.get("unsigned") else { return false };
    if node.word(&[("loopback", ())]).is_none() {
        return false;
    }
    if section.get("secret-files").is_some() {
        let problem = Problem::at(node.span.clone(), format!("{} has secrets and `unsigned`", section.name));
        section.report.add(problem.help("remove one of them: with a secret, what is not signed is refused"));
    }
    tell_of_open_listener(section, &node, host);
    true
}

fn tell_of_open_listener(section: &Section<'_>, node: &Node<'_>, host: Option<&HostConfig>) {
    let open = host.and_then(|host| host.webhooks).filter(|listen| !listen.ip().is_loopback());
    if let Some(listen) = open {
        let problem = Problem::at(
            node.span.clone(),
            format!("{} takes what is not signed, and {listen} is no loopback address", section.name),
        );
        section.report.add(
            problem
                .label("reachable from outside")
                .help("name a secret in `secret-files`, or let `[webhooks]` of gatewright.toml listen on 127.0.0.1"),
        );
    }
}

fn tell_of_no_secret(section: &Section<'_>, unsigned: bool) {
    let named = section.get("secret-files").is_some_and(|node| !node.texts().is_empty());
    let named = named || section.has_slip_of("secret-files");
    if !named && !unsigned && section.get("unsigned").is_none() {
        let problem = Problem::at(section.span.clone(), format!("{} has no secret", section.name));
        section.report.add(
            problem
                .label("whoever finds the address could say what was merged")
                .help("add secret-files = [\"secrets/NAME\"]: a file of mode 0600 with the secret that the sender has too")
                .help("or, where the sender is on this machine: unsigned = \"loopback\""),
        );
    }
}
