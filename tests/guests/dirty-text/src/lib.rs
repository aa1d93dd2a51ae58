//! A gate whose texts try to be more than text: escapes, directions, zero widths, markup, paths and addresses.

use gatewright_sdk::gate::{Finding, Gate, Infrastructure, Severity, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct DirtyText;

impl Gate for DirtyText {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::fail(vec![
            Finding::new(
                "Not A Rule\u{1b}",
                Severity::Blocker,
                "\u{1b}[31mred\u{1b}[0m\u{0} \u{202e}txet\u{202c} zero\u{200b}width",
            )
            .with_detail("<script>alert(1)</script> [x](javascript:alert(1)) @everyone closes #1\r\n```\n\u{7}")
            .at("../x")
            .on_line(0)
            .with_help("javascript:alert(1)"),
            Finding::new("absolute", Severity::Minor, "An absolute path")
                .at("/etc/passwd")
                .with_help("https://example.org/\u{202e}"),
        ]))
    }
}

export_gate!(DirtyText);
