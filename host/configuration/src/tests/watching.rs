//! `[log]` and `[telemetry]`.

use crate::tests::world::World;
use crate::{LogFormat, LogLevel, Watching};

fn with(tables: &str) -> World {
    let world = World::new();
    world.write("gatewright.toml", format!("{tables}\n[plugins]\nceiling = \"open\"\n"));
    world
}

#[test]
fn what_the_host_says_of_itself_is_read() {
    assert_eq!(with("").load().unwrap().host.watching, Watching::default());
    let written = "[log]\nformat = \"json\"\nlevel = \"debug\"\n[telemetry]\notlp = \"http://127.0.0.1:4318/\"\n";
    let read = with(written).load().unwrap().host.watching;
    let traces = Some("http://127.0.0.1:4318".to_owned());
    assert_eq!(read, Watching { log_format: LogFormat::Json, log_level: LogLevel::Debug, traces });
}

#[test]
fn a_collector_that_is_none_is_told_with_what_would_be_right() {
    let table = [
        ("https://collector:4318", "let that one encrypt"),
        ("127.0.0.1:4318", "such as \"http://127.0.0.1:4318\""),
        ("http://127.0.0.1", "no host with a port"),
        ("http://127.0.0.1:4318/v1/traces", "no host with a port"),
        ("http://:4318", "no host with a port"),
        ("http://ada:word@collector:4318", "no secret is ever written"),
    ];
    for (address, told) in table {
        let said = with(&format!("[telemetry]\notlp = \"{address}\"")).complaints();
        assert!(said.contains(told) && said.contains("gatewright.toml:2:8"), "{address}: {said}");
    }
    let said = with("[log]\nformat = \"jsom\"\nlevel = \"loud\"").complaints();
    assert!(said.contains("did you mean `json`?") && said.contains("`error`, `warn`, `info`"), "{said}");
}
