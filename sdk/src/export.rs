//! Between what wit-bindgen wants to export and what an author writes.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::errors::Flaw;
use crate::settings;

/// A plugin as wit-bindgen wants it. The `export_…!` macros make it; nobody else needs it.
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

/// `validate` of every kind.
pub(crate) fn flaws_of<S: DeserializeOwned>(text: &str, check: fn(&S) -> Vec<Flaw>) -> Vec<Flaw> {
    settings::parse(text).map_or_else(|flaws| flaws, |settings| check(&settings))
}

/// The settings of a plugin that is now asked. The manifest was checked with `validate`, so a flaw here means that something
/// went round it: then the plugin answers nothing.
pub(crate) fn settings_or_cause<S: DeserializeOwned>(text: &str, check: fn(&S) -> Vec<Flaw>) -> Result<S, String> {
    let settings = settings::parse(text).map_err(|flaws| settings::in_one_line(&flaws))?;
    let flaws = check(&settings);
    if flaws.is_empty() { Ok(settings) } else { Err(settings::in_one_line(&flaws)) }
}
