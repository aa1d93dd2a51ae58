//! Guards: may the host do this now?
//!
//! ```
//! use gatewright_sdk::guard::{Asked, Decision, Failure, Guard};
//! use gatewright_sdk::{NoSettings, export_guard};
//!
//! /// A test host writes to sandboxes only.
//! struct SandboxOnly;
//!
//! impl Guard for SandboxOnly {
//!     type Settings = NoSettings;
//!
//!     fn decide(asked: Asked, _settings: NoSettings) -> Result<Decision, Failure> {
//!         let sandbox = asked.destination.is_some_and(|destination| destination.sandbox);
//!         Ok(match (asked.environment.as_str(), sandbox) {
//!             ("test", false) => Decision::Hold("a test host writes to sandboxes only".to_owned()),
//!             _ => Decision::Allow,
//!         })
//!     }
//! }
//!
//! export_guard!(SandboxOnly);
//! # fn main() {}
//! ```

use serde::de::DeserializeOwned;

use crate::bindings::guard::exports::gatewright::guard::guard as generated;
use crate::errors::Flaw;
use crate::export::{Exported, flaws_of, settings_or_cause};

pub use crate::capabilities::{forge, http, kv, tracker};
pub use crate::errors::Failure;
pub use generated::{Amendment, Asked, Decision, Delayed, Destination, Effect};

/// A plugin that is asked before the host performs an effect. Make it a component with [`export_guard!`](crate::export_guard).
pub trait Guard {
    /// Read from the manifest by serde. [`NoSettings`](crate::NoSettings) where there are none.
    type Settings: DeserializeOwned;

    /// What is wrong with settings that serde could read. Asked when the manifest is checked: no capability but `log` and
    /// `clock` answers here.
    fn flaws(settings: &Self::Settings) -> Vec<Flaw> {
        let _ = settings;
        Vec::new()
    }

    /// Decides. The host asks only about kinds of effect that the guard's manifest entry lists.
    fn decide(asked: Asked, settings: Self::Settings) -> Result<Decision, Failure>;
}

impl<G: Guard> generated::Guest for Exported<G> {
    fn validate(settings: String) -> Vec<Flaw> {
        flaws_of(&settings, G::flaws)
    }

    fn decide(asked: Asked) -> Result<Decision, Failure> {
        let settings = settings_or_cause(&asked.settings, G::flaws).map_err(Failure::GiveUp)?;
        G::decide(asked, settings)
    }
}

/// Makes a [`Guard`](crate::guard::Guard) this crate's component.
#[macro_export]
macro_rules! export_guard {
    ($guard:ty) => {
        const _: () = {
            type Component = $crate::export::Exported<$guard>;
            #[cfg(target_family = "wasm")]
    $crate::bindings::guard::export_world!(Component with_types_in $crate::bindings::guard);
            const fn is_a_guard<G: $crate::guard::Guard>(_: ::core::marker::PhantomData<$crate::export::Exported<G>>) {}
            is_a_guard(::core::marker::PhantomData::<Component>)
        };
    };
}
