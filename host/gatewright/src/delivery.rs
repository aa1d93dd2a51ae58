//! `gatewright delivery …`: what trackers, forges and the board told, and a parked one once more.

use conductor::ports::inbox::DeliveryRow;
use gateway::api::{DeliveryView, Flaw, ForParked, Listing, RefusedDeliveries, Retried};
use serde_json::json;

use crate::cli::Delivery;
use crate::client::{Client, segment};
use crate::output::Output;
use crate::task::visible;
use crate::when::moment;

/// The host takes so many at one time: a smaller answer is the last one, and what is parked anew meanwhile is not read for ever.
const AT_ONCE: u64 = 1000;

/// Runs the command.
pub(crate) fn run(client: &Client, command: &Delivery, out: &Output) -> anyhow::Result<()> {
    match command {
        Delivery::List { source, project, state, before, limit } => {
            let (mut query, mut options) = (format!("limit={limit}"), String::new());
            let project = project.as_ref().map(ToString::to_string);
            let before = before.as_ref().map(ToString::to_string);
            for (name, value) in [("source", source), ("project", &project), ("state", state), ("before", &before)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", segment(value)));
                    if name != "before" {
                        options.push_str(&format!(" --{name} {value}"));
                    }
                }
            }
            let rows: Listing<DeliveryRow> = client.get(&format!("/api/v1/deliveries?{query}"))?;
            let refused: Listing<RefusedDeliveries> = client.get("/api/v1/deliveries/refused")?;
            let value = json!({"items": rows.items, "more": rows.more, "refused": refused.items});
            let older = rows.items.last().filter(|_| rows.more).map(|last| {
                let line = format!("gatewright delivery list{options} --limit {limit} --before {}", last.id);
                format!("There are older ones: {}", out.command(&line))
            });
            out.value(&value, || listed(&rows, &refused.items, older))
        }
        Delivery::Show { id } => {
            let found: DeliveryView = client.get(&format!("/api/v1/deliveries/{id}"))?;
            out.value(&found, || shown(&found, out))
        }
        Delivery::Retry { id: None, count, .. } => again(client, *count, out),
        Delivery::Retry { id: Some(id), .. } => {
            let found: DeliveryView = client.post(&format!("/api/v1/deliveries/{id}/retry"), &())?;
            out.value(&found, || {
                let look = out.command(&format!("gatewright delivery show {id}"));
                format!("delivery {id} is read once more\n  → {look}")
            })
        }
    }
}

/// All that are parked: those that were named once, else until none is left that was parked before.
fn again(client: &Client, count: Option<u64>, out: &Output) -> anyhow::Result<()> {
    let mut all = Retried { retried: 0, parked: 0 };
    loop {
        let told: Retried = client.post("/api/v1/deliveries/retry", &ForParked { count })?;
        all = Retried { retried: all.retried + told.retried, parked: told.parked };
        if count.is_some() || told.parked == 0 || told.retried < AT_ONCE {
            break;
        }
    }
    out.value(&all, || match all.retried {
        0 => "No delivery is parked.".to_owned(),
        1 => "1 delivery is read once more".to_owned(),
        many => format!("{many} deliveries are read once more"),
    })
}

fn listed(rows: &Listing<DeliveryRow>, refused: &[RefusedDeliveries], older: Option<String>) -> String {
    let mut lines = refused.iter().map(warning).collect::<Vec<_>>();
    lines.extend(rows.items.iter().map(line));
    if rows.items.is_empty() {
        lines.push("No delivery fits.".to_owned());
    }
    lines.extend(older);
    lines.join("\n")
}

fn warning(refused: &RefusedDeliveries) -> String {
    let from = refused.addresses.iter().map(|from| format!("{} from {}", from.count, from.address));
    let others = (refused.others > 0).then(|| format!("{} from others", refused.others));
    format!(
        "{} of {} were refused {}, from {} to {}: {}\n  {}",
        refused.count,
        refused.source,
        because(refused.flaw),
        moment(refused.first_at),
        moment(refused.last_at),
        from.chain(others).collect::<Vec<_>>().join(", "),
        visible(&refused.advice)
    )
}

/// Why a delivery was refused.
pub(crate) const fn because(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Unfit => "for their signature",
        Flaw::Malformed => "for what should be their signature",
        Flaw::Unsigned => "because they are not signed",
    }
}

fn line(row: &DeliveryRow) -> String {
    let word = visible(row.word.as_deref().unwrap_or("-"));
    let head = format!("{:>8}  {}  {:<5}  {:<8}", row.id, moment(row.received_at), row.source, row.state);
    let effect = row.effect.as_deref().map(|effect| format!(": {}", visible(effect))).unwrap_or_default();
    format!("{head}  {}  {word}{effect}", row.project)
}

fn shown(found: &DeliveryView, out: &Output) -> String {
    let mut lines = vec![line(&found.row)];
    lines.extend(found.headers.iter().map(|(name, value)| format!("  {}: {}", visible(name), visible(value))));
    match (&found.event, &found.unreadable) {
        (Some(event), _) => {
            let text = serde_json::to_string_pretty(event).unwrap_or_default();
            lines.extend(text.lines().map(|line| format!("  {}", visible(line))));
        }
        (None, why) => lines.push(format!("  it tells of nothing: {}", visible(why.as_deref().unwrap_or("-")))),
    }
    if found.row.state == "parked" {
        lines.push(format!("  → {}", out.command(&format!("gatewright delivery retry {}", found.row.id))));
    }
    lines.join("\n")
}
