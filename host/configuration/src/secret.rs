//! Secrets that were written into a file: found by their shape, refused, and blotted out wherever the file is shown.

use std::ops::Range;

use crate::diagnostic::{Code, Problem};

/// Texts by which issuers mark their tokens, how long what follows must be, and what it then is.
const MARKS: [(&str, usize, &str); 20] = [
    ("sk-ant-", 16, "an Anthropic key"),
    ("sk-proj-", 16, "an OpenAI key"),
    ("sk-svcacct-", 16, "an OpenAI key"),
    ("sk-or-v1-", 16, "an OpenRouter key"),
    ("ghp_", 30, "a GitHub token"),
    ("gho_", 30, "a GitHub token"),
    ("ghs_", 30, "a GitHub token"),
    ("ghu_", 30, "a GitHub token"),
    ("github_pat_", 20, "a GitHub token"),
    ("glpat-", 16, "a GitLab token"),
    ("plane_api_", 16, "a Plane key"),
    ("xoxb-", 16, "a Slack token"),
    ("xoxp-", 16, "a Slack token"),
    ("AKIA", 16, "an AWS key"),
    ("ASIA", 16, "an AWS key"),
    ("AIza", 30, "a Google key"),
    ("whsec_", 16, "a webhook secret"),
    ("npm_", 30, "an npm token"),
    ("eyJ", 16, "a signed token (JWT)"),
    ("-----BEGIN", 8, "a private key"),
];

/// Ends of a name whose value is a secret, in capitals, with what may join words taken out.
const NAMES: [&str; 9] =
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "ACCESSKEY", "PRIVATEKEY", "CREDENTIAL", "CREDENTIALS"];

/// A secret in a text.
pub(crate) struct Found {
    pub(crate) span: Range<usize>,
    what: &'static str,
}

impl Found {
    pub(crate) fn problem(&self) -> Problem {
        Problem::at(self.span.clone(), format!("{} stands in the file", self.what))
            .code(Code::SecretInFile)
            .label("blotted out here; it is in the file")
            .help("remove it, and let its issuer revoke it: files are read by backups and by whoever helps")
            .help("an agent gets it from the host's environment: `api-key = \"NAME\"`, or `pass-environment = [\"NAME\"]`")
    }
}

/// All secrets of a text, in order, none within another.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let mut all = marked(text);
    all.extend(in_urls(text));
    all.extend(after_words(text));
    all.extend(assigned(text));
    all.extend(bare(text));
    all.extend(in_headers(text));
    all.extend(after_options(text));
    all.sort_by_key(|found| (found.span.start, std::cmp::Reverse(found.span.end)));
    let mut reached = 0;
    all.retain(|found| {
        let apart = found.span.start >= reached;
        reached = reached.max(found.span.end);
        apart
    });
    all
}

/// The text with each secret's characters replaced, so that columns stay.
pub(crate) fn blot(text: &str, secrets: &[Found]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for found in secrets {
        shown.push_str(&text[at..found.span.start]);
        // One byte for each byte, and each line end where it was: spans and line numbers stay valid.
        shown.extend(text[found.span.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }));
        at = found.span.end;
    }
    shown.push_str(&text[at..]);
    shown
}

/// Takes the secrets of a file out of a message about it. A message may quote only the beginning of one.
pub(crate) fn blot_message(message: String, secrets: &[&str]) -> String {
    let mut shown = message;
    for secret in secrets {
        let mark: String = secret.chars().take(8).collect();
        if mark.len() < 4 {
            continue;
        }
        while let Some(at) = shown.find(&mark) {
            let same = shown[at..].chars().zip(secret.chars()).take_while(|(left, right)| left == right);
            let length: usize = same.map(|(character, _)| character.len_utf8()).sum();
            shown.replace_range(at..at + length, "***");
        }
    }
    shown
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(&byte)
}

fn token_end(text: &str, from: usize) -> usize {
    text.as_bytes()[from..].iter().position(|byte| !is_token(*byte)).map_or(text.len(), |length| from + length)
}

fn marked(text: &str) -> Vec<Found> {
    let mut all = Vec::new();
    for (mark, least, what) in MARKS {
        for (start, _) in text.match_indices(mark) {
            let within = text[..start].bytes().next_back().is_some_and(|byte| byte.is_ascii_alphanumeric());
            let body = start + mark.len();
            let private = mark.starts_with('-');
            let end = if private { end_of_key(text, start) } else { token_end(text, body) };
            let real = if private { text[body..end].contains("PRIVATE KEY") } else { !within && end - body >= least };
            if real {
                all.push(Found { span: start..end, what });
            }
        }
    }
    all
}

/// A key in PEM ends with its own last line; without one, with the text.
fn end_of_key(text: &str, start: usize) -> usize {
    text[start..]
        .find("-----END")
        .and_then(|end| text[start + end..].find("KEY-----").map(|tail| start + end + tail + "KEY-----".len()))
        .unwrap_or(text.len())
}

/// `https://user:password@host`.
fn in_urls(text: &str) -> Vec<Found> {
    let mut all = Vec::new();
    for (scheme, _) in text.match_indices("://") {
        let start = scheme + 3;
        let authority = text[start..].find(['/', '"', '\'', ' ', '\n', '?', '#']).map_or(text.len(), |end| start + end);
        let Some(at) = text[start..authority].rfind('@') else { continue };
        let Some(colon) = text[start..start + at].find(':') else { continue };
        let password = start + colon + 1..start + at;
        if !password.is_empty() && !text[password.clone()].starts_with(['$', '{', '<']) {
            all.push(Found { span: password, what: "a password in an address" });
        }
    }
    all
}

/// `Bearer …`, `Basic …`.
fn after_words(text: &str) -> Vec<Found> {
    let mut all = Vec::new();
    for word in ["Bearer ", "bearer ", "Basic "] {
        for (at, _) in text.match_indices(word) {
            let start = at + word.len();
            let end = token_end(text, start);
            let mixed = text[start..end].bytes().any(|byte| byte.is_ascii_digit());
            if end - start >= 12 && mixed {
                all.push(Found { span: start..end, what: "an authorization" });
            }
        }
    }
    all
}

/// `NAME_TOKEN=value` in an argument, and `api-key = "value"` of the file itself.
fn assigned(text: &str) -> Vec<Found> {
    let mut all = Vec::new();
    for (equals, _) in text.match_indices('=') {
        let before = text[..equals].trim_end_matches([' ', '\t']).trim_end_matches(['"', '\'']);
        let name = name_before(before);
        if !names_secret(name) {
            continue;
        }
        let after = &text[equals + 1..];
        let lead = after.len() - after.trim_start_matches([' ', '\t', '"', '\'']).len();
        let start = equals + 1 + lead;
        let end = text[start..].find(['"', '\'', '\n', ' ', ',', ']', '}', '#']).map_or(text.len(), |end| start + end);
        let value = &text[start..end];
        if name == "api-key" && is_name(value) {
            continue;
        }
        if value.len() >= 8 && !value.starts_with(['$', '{', '[', '<', '/', '~']) && value.is_ascii() {
            all.push(Found { span: start..end, what: "a secret" });
        }
    }
    all
}

/// Tokens that bear hardly a mark: `sk-` before letters and digits alone, and a Telegram bot's, its number before `:AA`.
fn bare(text: &str) -> Vec<Found> {
    let run = |from: usize, is_part: fn(u8) -> bool| {
        let length = text.as_bytes()[from..].iter().position(|byte| !is_part(*byte));
        length.map_or(text.len(), |length| from + length)
    };
    let mut all = Vec::new();
    for (start, mark) in text.match_indices("sk-") {
        let body = start + mark.len();
        let end = run(body, |byte| byte.is_ascii_alphanumeric());
        let within = text[..start].bytes().next_back().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !within && end - body >= 20 && looks_random(&text[body..end]) {
            all.push(Found { span: start..end, what: "a key" });
        }
    }
    for (colon, mark) in text.match_indices(":AA") {
        let digits = text[..colon].bytes().rev().take_while(u8::is_ascii_digit).count();
        let body = colon + mark.len();
        let end = run(body, |byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if (8..=12).contains(&digits) && end - body >= 28 {
            all.push(Found { span: colon - digits..end, what: "a Telegram bot's token" });
        }
    }
    all
}

/// `Authorization: token …`, `X-Api-Key: …`.
fn in_headers(text: &str) -> Vec<Found> {
    let mut all = Vec::new();
    for (colon, _) in text.match_indices(':') {
        let before = text[..colon].trim_end_matches(['"', '\'', '\\']);
        let name = name_before(before);
        let after = &text[colon + 1..];
        let lead = after.len() - after.trim_start_matches([' ', '\t', '"', '\'', '\\']).len();
        let start = colon + 1 + lead;
        let mut value = start..value_end(text, start);
        if name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("proxy-authorization") {
            // The scheme, one space, and what it is for.
            let rest = text[value.end..].trim_start_matches(' ');
            let next = text.len() - rest.len();
            if next > value.end && value_end(text, next) > next {
                value = next..value_end(text, next);
            }
        } else if !names_secret(name) || lead == 0 {
            continue;
        }
        if looks_random(&text[value.clone()]) {
            all.push(Found { span: value, what: "a secret in a header" });
        }
    }
    all
}

/// `--token VALUE` and `-u NAME:VALUE`, in one text or as two entries of a list.
fn after_options(text: &str) -> Vec<Found> {
    let mut all = Vec::new();
    for (dash, _) in text.match_indices('-') {
        let starts = dash == 0 || matches!(text.as_bytes()[dash - 1], b' ' | b'"' | b'\'' | b'\t' | b'\n');
        let length = text[dash..].find(|at: char| !(at.is_ascii_alphanumeric() || "-_".contains(at)));
        let name = dash..length.map_or(text.len(), |length| dash + length);
        let gap = text[name.end..].find(|at| !" ,\t\n\"'\\".contains(at)).unwrap_or(0);
        if !starts || gap == 0 {
            continue;
        }
        let start = name.end + gap;
        let value = start..value_end(text, start);
        let colon = text[value.clone()].find(':').map(|colon| start + colon + 1);
        match (&text[name], colon) {
            ("-u" | "--user" | "--proxy-user", Some(password)) if looks_random(&text[password..value.end]) => {
                all.push(Found { span: password..value.end, what: "a password" });
            }
            (option, _) if names_secret(option) && looks_random(&text[value.clone()]) => {
                all.push(Found { span: value, what: "a secret after its option" });
            }
            _ => {}
        }
    }
    all
}

/// The word that ends a text, as names of settings and headers are spelled.
fn name_before(text: &str) -> &str {
    let at = text.bytes().rposition(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'));
    &text[at.map_or(0, |at| at + 1)..]
}

/// Where a value that begins here ends.
fn value_end(text: &str, start: usize) -> usize {
    let end = text[start..].find(['"', '\'', '\\', '\n', ' ', ',', ']', '}', '#', '`']);
    end.map_or(text.len(), |end| start + end)
}

/// Long, and no word of a language; what stands for another value, a path and `id=…` are none.
fn looks_random(value: &str) -> bool {
    let stands_for = value.starts_with(['$', '{', '[', '<', '/', '~', '.', '-', '%', '@']) || is_name(value);
    let pair = value.trim_end_matches('=').contains('=');
    let mixed = value.len() >= 8 && value.bytes().any(|byte| byte.is_ascii_digit());
    value.is_ascii() && !stands_for && !pair && (mixed || value.len() >= 24)
}

/// `api-key` of a role takes the name of an environment variable. A key of capitals and underlines alone nobody gives out.
fn is_name(value: &str) -> bool {
    let formed = value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    formed && value.starts_with(|first: char| first.is_ascii_uppercase()) && value.contains('_') && digits <= 3
}

fn names_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    NAMES.iter().any(|end| plain.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blotted(text: &str) -> String {
        blot(text, &find(text))
    }

    #[test]
    fn what_issuers_mark_and_what_stands_in_addresses_and_assignments_is_blotted_out() {
        for (text, shown) in [
            ("url = 'https://bot:hunter22@git.example.org/x'", "url = 'https://bot:********@git.example.org/x'"),
            ("'Authorization: Bearer abcdef0123456789'", "'Authorization: Bearer ****************'"),
            ("run = ['env', 'DEPLOY_TOKEN=abcd1234efgh', 'x']", "run = ['env', 'DEPLOY_TOKEN=************', 'x']"),
            ("settings = { api-key = \"abcd1234\" }", "settings = { api-key = \"********\" }"),
            ("api-key = \"AB12_CD34\"", "api-key = \"*********\""),
            ("token = \"ABCD_EFGH\"", "token = \"*********\""),
            ("'Authorization: token 0123456789abcdef'", "'Authorization: token ****************'"),
            ("\"authorization: 0123456789abcdef\"", "\"authorization: ****************\""),
            ("'X-Api-Key: hunter2hunter2'", "'X-Api-Key: **************'"),
            ("'{\"token\": \"hunter2hunter2\"}'", "'{\"token\": \"**************\"}'"),
            ("['--token', 'abcd1234efgh5678']", "['--token', '****************']"),
            ("'curl --token abcd1234efgh5678 x'", "'curl --token **************** x'"),
            ("['-u', 'bot:hunter2hunter2']", "['-u', 'bot:**************']"),
            ("'curl -u bot:hunter2hunter2 x'", "'curl -u bot:************** x'"),
            ("'sk-abcdefghij0123456789'", "'***********************'"),
            ("'eyJhbGciOiJIUzI1NiJ9.e30.x'", "'**************************'"),
            ("'12345678:AAabcdefghijklmnopqrstuvwxyz0123456789'", "'***********************************************'"),
        ] {
            assert_eq!(blotted(text), shown);
        }
        let key = format!("sk-ant-{}", "a1".repeat(10));
        assert_eq!(blotted(&format!("run = ['x', '{key}']")), format!("run = ['x', '{}']", "*".repeat(27)));
    }

    #[test]
    fn what_only_looks_a_little_like_one_stays() {
        for text in [
            "input-tokens = \"/usage/input_tokens\"",
            "pass-environment = [\"ANTHROPIC_API_KEY\"]",
            "api-key = \"ANTHROPIC_API_KEY\"",
            "api-key = \"CLAUDE_CODE_OAUTH_TOKEN\"",
            "api-key = \"KEY_OF_TEAM_2\"",
            "run = [\"sh\", \"-c\", \"DEPLOY_TOKEN=$TOKEN make deploy\"]",
            "repository = \"/home/ann/sk-ant-eater\"",
            "url = \"https://git.example.org/a@b\"",
            "token-budget = 400000",
            "run = [\"curl\", \"-H\", \"Authorization: token $GITEA_TOKEN\", \"-u\", \"bot:${PASSWORD}\"]",
            "run = [\"docker\", \"run\", \"-u\", \"1000:1000\", \"--secret\", \"id=npm1,src=/run/npm\"]",
            "run = [\"deploy\", \"--token-file\", \"/run/secrets/token1\", \"--token\", \"DEPLOY_TOKEN_2\"]",
            "# the token: see docs/agents.md, and https://example.org:8443/a1b2c3d4",
            "run = [\"python3\", \"sk-learn-pipeline-2024.py\", \"task-abcdefghij0123456789\"]",
        ] {
            assert_eq!(blotted(text), text);
        }
    }

    #[test]
    fn a_private_key_goes_as_a_whole() {
        let text = "key = '''-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----'''\nname = 'x'";
        assert!(!blotted(text).contains("MIIE"));
        assert!(blotted(text).ends_with("'''\nname = 'x'"));
    }
}
