//! An estimator whose lowest figure is above its highest: an invalid answer.

use gatewright_sdk::estimator::{Estimator, Failure, Forecast, Question};
use gatewright_sdk::tasks::Figures;
use gatewright_sdk::{NoSettings, export_estimator};

struct GuessesWildly;

impl Estimator for GuessesWildly {
    type Settings = NoSettings;

    fn estimate(_question: Question, _settings: NoSettings) -> Result<Forecast, Failure> {
        let all =
            |figure| Figures { input_tokens: figure, output_tokens: figure, cost_microusd: figure, wall_ms: figure };
        Ok(Forecast {
            expected: all(u64::MAX),
            low: Some(all(2)),
            high: Some(all(1)),
            story_points: 255,
            samples: 0,
            explanation: "by throwing dice".to_owned(),
        })
    }
}

export_estimator!(GuessesWildly);
