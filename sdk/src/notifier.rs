//! Notifiers: this happened.
//!
//! ```
//! use gatewright_sdk::notifier::{Failure, Notice, Notifier, http};
//! use gatewright_sdk::{export_notifier, request};
//!
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     channel: String,
//! }
//!
//! struct Chat;
//!
//! impl Notifier for Chat {
//!     type Settings = Settings;
//!
//!     fn notify(notice: Notice, settings: Settings) -> Result<(), Failure> {
//!         let body = format!("#{}: {}", settings.channel, notice.text);
//!         let answer = http::Request::post("https://chat.example.org/messages", body).with_credential("chat").send()?;
//!         if answer.status < 300 { Ok(()) } else { Err(Failure::retry(format!("the chat answered {}", answer.status))) }
//!     }
//! }
//!
//! export_notifier!(Chat);
//! request!(
//!     r#"
//!     version = 1
//!     [[capability]]
//!     name = "http:https://chat.example.org"
//!     reason = "writes to the team's channel"
//!     credential = "chat"
//!     "#
//! );
//! # fn main() {}
//! ```

use serde::de::DeserializeOwned;

use crate::bindings::notifier::exports::gatewright::notifier::notifier as generated;
use crate::errors::Flaw;
use crate::export::{Exported, flaws_of, settings_or_cause};

pub use crate::capabilities::{http, kv, tracker};
pub use crate::errors::Failure;
pub use generated::{Link, Notice, Row, Urgency, View};

/// A plugin that tells people. Make it a component with [`export_notifier!`](crate::export_notifier).
pub trait Notifier {
    /// Read from the manifest by serde. [`NoSettings`](crate::NoSettings) where there are none.
    type Settings: DeserializeOwned;

    /// What is wrong with settings that serde could read. Asked when the manifest is checked: no capability but `log` and
    /// `clock` answers here.
    fn flaws(settings: &Self::Settings) -> Vec<Flaw> {
        let _ = settings;
        Vec::new()
    }

    /// Tells it. The same notice may come more than once; its `id` stays the same.
    fn notify(notice: Notice, settings: Self::Settings) -> Result<(), Failure>;
}

impl<N: Notifier> generated::Guest for Exported<N> {
    fn validate(settings: String) -> Vec<Flaw> {
        flaws_of(&settings, N::flaws)
    }

    fn notify(notice: Notice) -> Result<(), Failure> {
        let settings = settings_or_cause(&notice.settings, N::flaws).map_err(Failure::GiveUp)?;
        N::notify(notice, settings)
    }
}

/// Makes a [`Notifier`](crate::notifier::Notifier) this crate's component.
#[macro_export]
macro_rules! export_notifier {
    ($notifier:ty) => {
        const _: () = {
            type Component = $crate::export::Exported<$notifier>;
            #[cfg(target_family = "wasm")]
    $crate::bindings::notifier::export_world!(Component with_types_in $crate::bindings::notifier);
            const fn is_a_notifier<N: $crate::notifier::Notifier>(
                _: ::core::marker::PhantomData<$crate::export::Exported<N>>,
            ) {
            }
            is_a_notifier(::core::marker::PhantomData::<Component>)
        };
    };
}
