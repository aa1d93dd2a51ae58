//! Whole numbers as JSON writes them: it knows no others than numbers, so `60000.0` is `60000`.

use serde::de::{Deserialize, Deserializer, Error as _, IntoDeserializer as _};
use serde_json::Number;

/// The greatest number up to which each whole one is itself in JSON, whoever reads it.
const GREATEST: f64 = 9_007_199_254_740_991.0;

/// A field that may be left out, or be `null`.
pub(super) fn read<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let whole = |number: f64| number.fract() == 0.0 && (0.0..=GREATEST).contains(&number);
    let read = number
        .as_u64()
        .filter(|number| *number <= GREATEST as u64)
        .or_else(|| number.as_f64().filter(|number| whole(*number)).map(|number| number as u64));
    let read = read.ok_or_else(|| D::Error::custom(format!("{number} is no whole number from 0 on")))?;
    T::deserialize(read.into_deserializer()).map(Some)
}
