//! An estimator that forecasts the mean of all finished tasks, and a fixed figure where there is none.

use gatewright_sdk::estimator::{Estimator, Failure, Forecast, Question, history};
use gatewright_sdk::tasks::Figures;
use gatewright_sdk::{NoSettings, export_estimator, request};

request!(
    r#"version = 1

[[capability]]
name = "history"
reason = "takes the mean of what was finished"
"#
);

struct Guesses;

impl Estimator for Guesses {
    type Settings = NoSettings;

    fn estimate(_question: Question, _settings: NoSettings) -> Result<Forecast, Failure> {
        let finished = history::finished(1000)?;
        let count = finished.len().try_into().unwrap_or(u32::MAX);
        let mean = |of: fn(&Figures) -> u64| -> u64 {
            let sum: u64 = finished.iter().map(|task| of(&task.total)).fold(0, u64::saturating_add);
            sum.checked_div(count.into()).unwrap_or(1000)
        };
        let expected = Figures {
            input_tokens: mean(|figures| figures.input_tokens),
            output_tokens: mean(|figures| figures.output_tokens),
            cost_microusd: mean(|figures| figures.cost_microusd),
            wall_ms: mean(|figures| figures.wall_ms),
        };
        let explanation = format!("the mean of {count} finished tasks");
        Ok(Forecast { expected, low: None, high: None, story_points: 3, samples: count, explanation })
    }
}

export_estimator!(Guesses);
