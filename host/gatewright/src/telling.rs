//! Who is told of what happens: the meters always, traces where the file names a collector.

use std::sync::Arc;
use std::time::Duration;

use conductor::ports::tally::{Fact, Tally};
use telemetry::{Sender, Traces};

use crate::clock::incarnation;
use crate::wiring::Host;

/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// All of them.
struct Each(Vec<Arc<dyn Tally>>);

impl Tally for Each {
    fn note(&self, fact: Fact<'_>) {
        for tally in &self.0 {
            tally.note(fact);
        }
    }
}

/// From here on what the conductor does is counted, and drawn for a collector. Not to be called within a runtime.
pub(crate) fn start(host: &Host, collector: Option<&str>, pages: &str) -> anyhow::Result<Option<Arc<Traces>>> {
    let meters: Arc<dyn Tally> = host.meters.clone();
    let Some(collector) = collector else {
        host.conductor.report_to(meters);
        return Ok(None);
    };
    let me = incarnation()?;
    let sender = Sender {
        collector: collector.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: me.uuid,
        host: me.host,
        pages: pages.to_owned(),
    };
    // The collector that the file names, by no other way than to it: a proxy of the environment is for other programs.
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let traces = Arc::new(Traces::start(&sender, client)?);
    host.conductor.report_to(Arc::new(Each(vec![meters, traces.clone()])));
    Ok(Some(traces))
}
