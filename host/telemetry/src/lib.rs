//! Traces: what the store recorded, as spans in the words of OpenTelemetry's conventions for CI/CD, sent to a collector by OTLP over
//! HTTP.
//!
//! A task is a run of its project's pipeline: one trace, whose root span is sent when the task ends. Each delivery that told the task
//! something, each run of an agent or command, each answer of a step without a run and each effect outside is a span below it, sent
//! when it is over, and linked to the one that brought it about: from the delivery to the effect. Ids are made from what never changes,
//! so the parts of a task that several lives of the host sent are one trace. All is drawn from [`conductor::ports::tally`].
//!
//! A collector that is slow, hangs or is gone costs the host nothing: spans wait in a line of [`LINE`], what does not fit is dropped,
//! and only a thread of its own ever waits for the network.
//!
//! **Not promised**: a host that dies takes what it had not sent along, and nobody sends it again. The next one does not know what
//! brought about the jobs that it finds, so their spans have no links.

mod spans;
mod watched;

use std::sync::Mutex;
use std::time::Duration;

use conductor::ports::tally::{Fact, Tally};
use opentelemetry::KeyValue;
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanProcessor as _};

use crate::spans::Pen;
use crate::watched::Watched;

/// Spans that wait to be sent: what a busy host brings in a minute during which the collector does not answer.
const LINE: usize = 4096;
/// Spans in one request.
const BATCH: usize = 256;
/// From one sending to the next.
const PAUSE: Duration = Duration::from_secs(2);
/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What waits at the host's end is given so long to go out.
const FAREWELL: Duration = Duration::from_secs(2);

/// Who sends, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Where the collector takes OTLP over HTTP: `http://HOST:PORT`, without a path.
    pub collector: String,
    /// The version of this program.
    pub version: String,
    /// This life of the host.
    pub instance: String,
    /// The machine's name.
    pub host: String,
    /// Where a person finds the pages: `http://127.0.0.1:8500`.
    pub pages: String,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to {collector}")]
pub struct TraceError {
    collector: String,
    #[source]
    source: ExporterBuildError,
}

/// Draws what happens, and sends it.
pub struct Traces {
    pen: Mutex<Pen>,
    line: BatchSpanProcessor,
}

impl Traces {
    /// Starts the thread that sends, by this client. Not to be called within a runtime.
    pub fn start(sender: &Sender, client: impl HttpClient + 'static) -> Result<Self, TraceError> {
        Self::start_every(sender, PAUSE, client)
    }

    /// As [`Self::start`], with a pause of one's own between two sendings.
    pub fn start_every(
        sender: &Sender,
        pause: Duration,
        client: impl HttpClient + 'static,
    ) -> Result<Self, TraceError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{}/v1/traces", sender.collector))
            .with_timeout(PATIENCE)
            .build()
            .map_err(|source| TraceError { collector: sender.collector.clone(), source })?;
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(LINE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(pause);
        let mut line = BatchSpanProcessor::builder(Watched::new(exporter)).with_batch_config(config.build()).build();
        line.set_resource(&resource(sender));
        Ok(Self { pen: Mutex::new(Pen::new(sender)), line })
    }

    /// Sends what waits, for a moment, and nothing after it.
    pub fn stop(&self) {
        if let Err(error) = self.line.shutdown_with_timeout(FAREWELL) {
            tracing::warn!(%error, "not all traces were sent");
        }
    }

    fn send(&self, span: Option<SpanData>) {
        if let Some(span) = span {
            self.line.on_end(span);
        }
    }
}

fn resource(sender: &Sender) -> Resource {
    let attributes = [
        KeyValue::new("service.name", "gatewright"),
        KeyValue::new("service.version", sender.version.clone()),
        KeyValue::new("service.instance.id", sender.instance.clone()),
        KeyValue::new("host.name", sender.host.clone()),
    ];
    Resource::builder_empty().with_attributes(attributes).build()
}

impl Tally for Traces {
    fn note(&self, fact: Fact<'_>) {
        let mut pen = self.pen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match fact {
            Fact::Began { claim, at } => pen.began(claim, at),
            Fact::RunEnded { task, run, driver, job } => self.send(pen.run(task, run, driver, job)),
            Fact::Completed { claim, event, applied, run, at } => {
                // A run of the step has a span of its own.
                let step = pen.step(claim, event, at).filter(|_| run.is_none());
                pen.brought_about(claim, applied, step.as_ref(), run);
                self.send(step);
                self.send(pen.task(claim, applied, at));
            }
            Fact::Expanded { source, told: Some(told), .. } => {
                for applied in told.applied {
                    self.send(pen.delivery(source, &told, applied));
                }
            }
            Fact::Evaluated { .. } | Fact::Expanded { told: None, .. } => {}
        }
    }
}
