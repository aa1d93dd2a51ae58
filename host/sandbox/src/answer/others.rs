//! Forecasts, names and flaws.

use domain::plugin::{Figures, Flaw, Forecast};

use super::{FLAW, FLAWS, LARGEST, PROSE, Reading, TITLE};
use crate::bindings::exports::gatewright::estimator::estimator;
use crate::bindings::gatewright::errors::errors;
use crate::fault::Fault;
use crate::text::{Lines, clean};

/// Names that a status-mapper may prefer one after the other.
const NAMES: usize = 20;
const POINTS: u8 = 100;

pub(super) fn forecast(forecast: estimator::Forecast, reading: &mut Reading<'_>) -> Result<Forecast, Fault> {
    let expected: Figures = forecast.expected.into();
    let (low, high): (Option<Figures>, Option<Figures>) = (forecast.low.map(Into::into), forecast.high.map(Into::into));
    let numbers =
        |figures: &Figures| [figures.input_tokens, figures.output_tokens, figures.cost_microusd, figures.wall_ms];
    let all = [Some(expected), low, high];
    if all.iter().flatten().flat_map(numbers).any(|number| number > LARGEST) {
        return Err(Fault::invalid("a figure of its forecast is above 2^53 - 1"));
    }
    let ordered =
        |low: &Figures, high: &Figures| numbers(low).iter().zip(numbers(high)).all(|(low, high)| *low <= high);
    let in_order = low.is_none_or(|low| ordered(&low, &expected)) && high.is_none_or(|high| ordered(&expected, &high));
    if !in_order {
        return Err(Fault::invalid("its forecast is not low ≤ expected ≤ high in each figure"));
    }
    if forecast.story_points > POINTS {
        return Err(Fault::invalid(format!("its forecast has more than {POINTS} story points")));
    }
    Ok(Forecast {
        expected,
        low,
        high,
        story_points: forecast.story_points,
        samples: forecast.samples,
        explanation: reading.text(&forecast.explanation, PROSE, Lines::Many)?,
    })
}

pub(super) fn names(names: Vec<String>, reading: &mut Reading<'_>) -> Result<Vec<String>, Fault> {
    let total = names.len();
    let mut kept = Vec::new();
    for name in names {
        let name = reading.text(&name, TITLE, Lines::One)?;
        if kept.len() < NAMES {
            kept.push(name);
        }
    }
    if total > NAMES {
        reading.note(format!("{} names over the first {NAMES} were dropped", total - NAMES));
    }
    Ok(kept)
}

pub(super) fn flaws(flaws: Vec<errors::Flaw>, reading: &mut Reading<'_>) -> Result<Vec<Flaw>, Fault> {
    let total = flaws.len();
    let mut kept = Vec::new();
    for flaw in flaws {
        reading.count(&flaw.pointer)?;
        let message = reading.text(&flaw.message, FLAW, Lines::Many)?;
        if kept.len() == FLAWS {
            continue;
        }
        let is_pointer = flaw.pointer.is_empty() || flaw.pointer.starts_with('/');
        let pointer = if is_pointer { clean(&flaw.pointer, FLAW, Lines::One) } else { String::new() };
        let message = if message.trim().is_empty() { "no reason given".to_owned() } else { message };
        kept.push(Flaw { pointer, message });
    }
    if total > FLAWS {
        reading.note(format!("{} flaws over the first {FLAWS} were dropped", total - FLAWS));
    }
    Ok(kept)
}
