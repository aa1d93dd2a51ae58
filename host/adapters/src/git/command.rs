//! Calls of `git`, all of one form: no configuration but the repository's own and what stands here, no environment from outside,
//! bounded in time and output.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use conductor::ports::forge::ForgeError;
use domain::ids::CommitId;

use super::process::{self, Failure, Sink, Source};

/// A question about refs or single objects.
const QUICK: Duration = Duration::from_mins(1);

/// A walk over history or a work tree; a hostile `.gitignore` may make it a long one.
pub(super) const LONG: Duration = Duration::from_mins(10);

/// Enough for ids, refs and messages.
const SMALL_OUTPUT: usize = 1 << 20;

/// Enough for lists of all paths or objects of a large repository.
pub(super) const LARGE_OUTPUT: usize = 128 << 20;

/// What people see of git's own words, in characters.
const SHOWN_STDERR: usize = 400;

/// Overrules what a repository's configuration says. The first block keeps anything from being run or read that is not named
/// by the host; the second makes one machine do as another does; the third keeps git from work in the background.
const CONFIGURATION: [&str; 21] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.sshCommand=/bin/false",
    "core.askPass=/bin/false",
    "credential.helper=",
    "protocol.allow=never",
    "submodule.recurse=false",
    "commit.gpgSign=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.autocrlf=false",
    "core.symlinks=true",
    "core.quotePath=false",
    "core.untrackedCache=false",
    // Larger blobs are neither held in memory nor diffed.
    "core.bigFileThreshold=16m",
    "diff.renameLimit=1000",
    "i18n.logOutputEncoding=UTF-8",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// The program, and what its calls share.
#[derive(Clone, Debug)]
pub(super) struct Git {
    program: PathBuf,
    /// Where it finds its own helpers' interpreters.
    path: OsString,
    /// Shown as `…` in errors: the folder holds secrets, so its place is nobody's business.
    hidden: PathBuf,
}

impl Git {
    /// `program`: a name on the host's `PATH`, or a path.
    pub(super) fn new(program: &Path, hidden: &Path) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        Self { program: program.to_owned(), path, hidden: hidden.to_owned() }
    }

    /// A call without a repository.
    pub(super) fn bare_call(&self) -> Call {
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir("/");
        let fixed = [
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_LITERAL_PATHSPECS", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_PAGER", "cat"),
            ("GIT_EDITOR", "false"),
            ("GIT_AUTHOR_NAME", "Gatewright"),
            ("GIT_AUTHOR_EMAIL", "gatewright@localhost"),
            ("GIT_COMMITTER_NAME", "Gatewright"),
            ("GIT_COMMITTER_EMAIL", "gatewright@localhost"),
        ];
        command.env("PATH", &self.path).envs(fixed);
        for setting in CONFIGURATION {
            command.args(["-c", setting]);
        }
        Call {
            command,
            name: String::new(),
            source: Source::Nothing,
            sink: Sink::Memory(SMALL_OUTPUT),
            time: QUICK,
            hidden: self.hidden.clone(),
        }
    }

    /// What `fetch` starts at a folder that may be another user's, as words for a shell. Git keeps the settings of a call from what it
    /// starts there, so they are said once more.
    pub(super) fn upload_pack(&self, folder: &Path) -> OsString {
        let mut words = vec![self.program.clone().into_os_string()];
        for setting in CONFIGURATION.iter().map(OsString::from).chain(safe_directory(folder)) {
            words.extend(["-c".into(), setting]);
        }
        // `--strict`: this very folder, nothing that lies in it.
        words.extend(["upload-pack".into(), "--strict".into()]);
        words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ".as_ref())
    }

    /// A call on the repository at this path, which is never looked for and never a clone's.
    pub(super) fn call(&self, repository: &Path) -> Call {
        self.bare_call().env("GIT_DIR", repository)
    }
}

/// A call in the making.
pub(super) struct Call {
    command: Command,
    /// The subcommand, for errors.
    name: String,
    source: Source,
    sink: Sink,
    time: Duration,
    hidden: PathBuf,
}

/// What a call answered.
pub(super) struct Answer {
    /// 0: good; of many subcommands 1: the answer is no.
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    /// Cut, without control characters and without the hidden path.
    pub(super) stderr: String,
    name: String,
}

impl Call {
    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// A setting before the subcommand.
    pub(super) fn set(mut self, setting: &str) -> Self {
        self.command.args(["-c", setting]);
        self
    }

    /// It may enter this very folder, though it be another user's: the operator named it, and what its configuration says is overruled
    /// here whoever wrote it.
    pub(super) fn trusting(mut self, folder: &Path) -> Self {
        if let Some(setting) = safe_directory(folder) {
            self.command.arg("-c").arg(setting);
        }
        self
    }

    pub(super) fn at(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// The subcommand and its arguments.
    pub(super) fn args<Arg: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = Arg>) -> Self {
        for arg in args {
            if self.name.is_empty() {
                self.name = arg.as_ref().to_string_lossy().into_owned();
            }
            self.command.arg(arg);
        }
        self
    }

    pub(super) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.source = Source::Bytes(bytes.into());
        self
    }

    pub(super) fn input_file(mut self, file: File) -> Self {
        self.source = Source::File(file);
        self
    }

    pub(super) fn output_file(mut self, file: File) -> Self {
        self.sink = Sink::File(file);
        self
    }

    pub(super) fn output_bytes(mut self, bytes: usize) -> Self {
        self.sink = Sink::Memory(bytes);
        self
    }

    pub(super) fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// For walks: much time, much output.
    pub(super) fn long(self) -> Self {
        self.time(LONG).output_bytes(LARGE_OUTPUT)
    }

    /// Whatever it answers.
    pub(super) fn answer(self) -> Result<Answer, ForgeError> {
        let Self { command, name, source, sink, time, hidden } = self;
        match process::run(command, source, sink, time) {
            Ok(finished) => {
                let stderr = presentable(&finished.stderr, &hidden);
                match finished.status.code() {
                    Some(code) => Ok(Answer { code, stdout: finished.stdout, stderr, name }),
                    None => Err(ForgeError::Infra(format!("`git {name}` was ended by a signal: {stderr}"))),
                }
            }
            Err(Failure::NotStarted(error)) => Err(ForgeError::Infra(format!("git cannot be started: {error}"))),
            Err(Failure::TimedOut) => {
                Err(ForgeError::Infra(format!("`git {name}` took longer than {} s and was ended", time.as_secs())))
            }
            Err(Failure::TooMuch(limit)) => {
                Err(ForgeError::TooLarge { what: format!("what `git {name}` says"), limit: limit as u64 })
            }
            Err(Failure::Broken(error)) => Err(ForgeError::Infra(format!("`git {name}` could not be read: {error}"))),
        }
    }

    /// What it says, if it exits with 0.
    pub(super) fn bytes(self) -> Result<Vec<u8>, ForgeError> {
        let answer = self.answer()?;
        if answer.code == 0 { Ok(answer.stdout) } else { Err(answer.failure()) }
    }

    /// It has nothing to say.
    pub(super) fn done(self) -> Result<(), ForgeError> {
        self.bytes().map(drop)
    }

    /// What it says, trimmed.
    pub(super) fn text(self) -> Result<String, ForgeError> {
        Ok(String::from_utf8_lossy(&self.bytes()?).trim().to_owned())
    }

    /// The one object id that it says.
    pub(super) fn id(self) -> Result<CommitId, ForgeError> {
        parse_id(self.text()?.as_bytes())
    }
}

impl Answer {
    pub(super) fn failure(&self) -> ForgeError {
        ForgeError::Infra(format!("`git {}` failed with exit {}: {}", self.name, self.code, self.stderr))
    }
}

/// An object id as git prints it.
pub(super) fn parse_id(text: &[u8]) -> Result<CommitId, ForgeError> {
    let text = String::from_utf8_lossy(text);
    CommitId::new(text.trim()).map_err(|error| ForgeError::Infra(format!("git answered something else: {error}")))
}

/// A path as bytes, for lists that are separated by NUL.
pub(super) fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// A folder of objects for `GIT_ALTERNATE_OBJECT_DIRECTORIES`, quoted, since `:` separates them.
pub(super) fn quoted(folder: &Path) -> OsString {
    let mut text = vec![b'"'];
    for byte in folder.as_os_str().as_bytes() {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text.push(b'"');
    OsString::from_vec(text)
}

/// Git's own word for a folder that it may enter whoever owns it. None: git would take the name for a pattern.
fn safe_directory(folder: &Path) -> Option<OsString> {
    let mut setting = OsString::from("safe.directory=");
    setting.push(folder);
    (folder.is_absolute() && !folder.ends_with("*")).then_some(setting)
}

/// One word for a shell, whatever is in it.
pub(super) fn shell_word(word: &OsStr) -> OsString {
    let mut text = vec![b'\''];
    for byte in word.as_bytes() {
        if *byte == b'\'' {
            text.extend(b"'\\''");
        } else {
            text.push(*byte);
        }
    }
    text.push(b'\'');
    OsString::from_vec(text)
}

/// Parts that end with NUL.
pub(super) fn nul_separated(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == 0).filter(|part| !part.is_empty())
}

/// Git's own words, cut; file names in them are hostile.
fn presentable(stderr: &[u8], hidden: &Path) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text = text.replace(&*hidden.to_string_lossy(), "…");
    let mut shown: String = text
        .trim()
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(SHOWN_STDERR)
        .collect();
    if text.trim().chars().count() > SHOWN_STDERR {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_neither_the_hidden_path_nor_control_characters() {
        let hidden = Path::new("/var/state/secret");
        let shown = presentable(b"fatal: /var/state/secret/x.git\x1b[31m\nbad\n", hidden);
        assert_eq!(shown, "fatal: …/x.git [31m bad");
        assert_eq!(presentable(&[b'a'; 2000], hidden).chars().count(), SHOWN_STDERR + 1);
    }

    #[test]
    fn a_folder_is_trusted_by_its_own_name_and_a_shell_reads_it_as_one_word() {
        assert_eq!(shell_word("it's $(here)".as_ref()), r"'it'\''s $(here)'");
        assert_eq!(safe_directory(Path::new("/srv/app")).unwrap(), "safe.directory=/srv/app");
        for pattern in ["/srv/*", "*", "srv/app"] {
            assert_eq!(safe_directory(Path::new(pattern)), None, "{pattern}");
        }
    }

    #[test]
    fn a_failing_call_says_which_and_how() {
        let git = Git::new(Path::new("git"), Path::new("/hidden"));
        let error = git.call(Path::new("/nonexistent")).args(["rev-parse", "HEAD"]).text().unwrap_err();
        assert!(error.to_string().contains("`git rev-parse` failed with exit 128"), "{error}");
        let error = Git::new(Path::new("/nonexistent/git"), Path::new("/hidden")).bare_call().args(["version"]).text();
        assert!(error.unwrap_err().to_string().contains("cannot be started"));
    }
}
