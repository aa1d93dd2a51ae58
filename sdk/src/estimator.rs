//! Estimators: what will this work item cost? The answer decides nothing.
//!
//! ```
//! use gatewright_sdk::estimator::{Estimator, Failure, Forecast, Question, history};
//! use gatewright_sdk::tasks::Figures;
//! use gatewright_sdk::{NoSettings, export_estimator, request};
//!
//! /// As much as the last finished task.
//! struct LikeTheLast;
//!
//! impl Estimator for LikeTheLast {
//!     type Settings = NoSettings;
//!
//!     fn estimate(_question: Question, _settings: NoSettings) -> Result<Forecast, Failure> {
//!         let finished = history::finished(1)?;
//!         let last = finished.first().ok_or_else(|| Failure::give_up("no task was finished yet"))?;
//!         Ok(Forecast {
//!             expected: last.total,
//!             low: None,
//!             high: None,
//!             story_points: 3,
//!             samples: 1,
//!             explanation: format!("as much as {}", last.work_item),
//!         })
//!     }
//! }
//!
//! export_estimator!(LikeTheLast);
//! request!("version = 1\n[[capability]]\nname = \"history\"\nreason = \"compares with finished tasks\"");
//! # fn main() {}
//! ```

use serde::de::DeserializeOwned;

use crate::bindings::estimator::exports::gatewright::estimator::estimator as generated;
use crate::errors::Flaw;
use crate::export::{Exported, flaws_of, settings_or_cause};

pub use crate::capabilities::{history, http, kv, tracker};
pub use crate::errors::Failure;
pub use generated::{Forecast, Question};

/// A plugin that forecasts. Make it a component with [`export_estimator!`](crate::export_estimator).
pub trait Estimator {
    /// Read from the manifest by serde. [`NoSettings`](crate::NoSettings) where there are none.
    type Settings: DeserializeOwned;

    /// What is wrong with settings that serde could read. Asked when the manifest is checked: no capability but `log` and
    /// `clock` answers here.
    fn flaws(settings: &Self::Settings) -> Vec<Flaw> {
        let _ = settings;
        Vec::new()
    }

    /// Forecasts. `low ≤ expected ≤ high` in every figure, and at most 100 points; else the host takes nothing of it.
    fn estimate(question: Question, settings: Self::Settings) -> Result<Forecast, Failure>;
}

impl<E: Estimator> generated::Guest for Exported<E> {
    fn validate(settings: String) -> Vec<Flaw> {
        flaws_of(&settings, E::flaws)
    }

    fn estimate(question: Question) -> Result<Forecast, Failure> {
        let settings = settings_or_cause(&question.settings, E::flaws).map_err(Failure::GiveUp)?;
        E::estimate(question, settings)
    }
}

/// Makes an [`Estimator`](crate::estimator::Estimator) this crate's component.
#[macro_export]
macro_rules! export_estimator {
    ($estimator:ty) => {
        const _: () = {
            type Component = $crate::export::Exported<$estimator>;
            #[cfg(target_family = "wasm")]
    $crate::bindings::estimator::export_world!(Component with_types_in $crate::bindings::estimator);
            const fn is_an_estimator<E: $crate::estimator::Estimator>(
                _: ::core::marker::PhantomData<$crate::export::Exported<E>>,
            ) {
            }
            is_an_estimator(::core::marker::PhantomData::<Component>)
        };
    };
}
