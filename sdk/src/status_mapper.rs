//! Status mappers: what does a change on the board mean, and how does a task look on it?
//!
//! A mapper is pure: it imports nothing but the log and the clock.
//!
//! ```
//! use gatewright_sdk::status_mapper::{Change, Failure, Intent, Standing, StatusMapper};
//! use gatewright_sdk::{NoSettings, export_status_mapper};
//!
//! struct TwoColumns;
//!
//! impl StatusMapper for TwoColumns {
//!     type Settings = NoSettings;
//!
//!     fn inbound(change: Change, _settings: NoSettings) -> Result<Intent, Failure> {
//!         Ok(if change.to.name == "Doing" && !change.by_us { Intent::Start } else { Intent::None })
//!     }
//!
//!     fn outbound(standing: Standing, _settings: NoSettings) -> Result<Vec<String>, Failure> {
//!         Ok(if standing.phase == "done" { vec!["Done".to_owned()] } else { vec![] })
//!     }
//! }
//!
//! export_status_mapper!(TwoColumns);
//! # fn main() {}
//! ```

use serde::de::DeserializeOwned;

use crate::bindings::status_mapper::exports::gatewright::status_mapper::status_mapper as generated;
use crate::errors::Flaw;
use crate::export::{Exported, flaws_of, settings_or_cause};

pub use crate::errors::Failure;
pub use generated::{Change, Intent, Standing};

/// A plugin that knows a board's words. Make it a component with [`export_status_mapper!`](crate::export_status_mapper).
pub trait StatusMapper {
    /// Read from the manifest by serde. [`NoSettings`](crate::NoSettings) where there are none.
    type Settings: DeserializeOwned;

    /// What is wrong with settings that serde could read. Asked when the manifest is checked: no capability but `log` and
    /// `clock` answers here.
    fn flaws(settings: &Self::Settings) -> Vec<Flaw> {
        let _ = settings;
        Vec::new()
    }

    /// What does this change mean? The engine decides whether it is legal now.
    fn inbound(change: Change, settings: Self::Settings) -> Result<Intent, Failure>;

    /// Names of statuses in order of preference; the host takes the first that the board has. None: the board stays as it is.
    fn outbound(standing: Standing, settings: Self::Settings) -> Result<Vec<String>, Failure>;
}

impl<M: StatusMapper> generated::Guest for Exported<M> {
    fn validate(settings: String) -> Vec<Flaw> {
        flaws_of(&settings, M::flaws)
    }

    fn inbound(change: Change) -> Result<Intent, Failure> {
        let settings = settings_or_cause(&change.settings, M::flaws).map_err(Failure::GiveUp)?;
        M::inbound(change, settings)
    }

    fn outbound(standing: Standing) -> Result<Vec<String>, Failure> {
        let settings = settings_or_cause(&standing.settings, M::flaws).map_err(Failure::GiveUp)?;
        M::outbound(standing, settings)
    }
}

/// Makes a [`StatusMapper`](crate::status_mapper::StatusMapper) this crate's component.
#[macro_export]
macro_rules! export_status_mapper {
    ($mapper:ty) => {
        const _: () = {
            type Component = $crate::export::Exported<$mapper>;
            #[cfg(target_family = "wasm")]
    $crate::bindings::status_mapper::export_world!(Component with_types_in $crate::bindings::status_mapper);
            const fn is_a_mapper<M: $crate::status_mapper::StatusMapper>(
                _: ::core::marker::PhantomData<$crate::export::Exported<M>>,
            ) {
            }
            is_a_mapper(::core::marker::PhantomData::<Component>)
        };
    };
}
