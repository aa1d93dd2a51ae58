//! What runs cost: what an agent said of it, what counts where it said nothing, and sums of both.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::time::Milliseconds;

/// What an agent said that its run used. `None`: it did not say, or said nonsense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens in, without those that the cache held or took.
    pub input_tokens: Option<u64>,
    /// Tokens out.
    pub output_tokens: Option<u64>,
    /// Tokens in that were read from the cache.
    pub cache_read_tokens: Option<u64>,
    /// Tokens in that were written to the cache.
    pub cache_creation_tokens: Option<u64>,
    /// Millionths of a US dollar.
    pub cost_microusd: Option<u64>,
}

impl Usage {
    /// Did it say anything?
    pub fn is_known(&self) -> bool {
        *self != Self::default()
    }

    fn parts(&self) -> [Option<u64>; 4] {
        [self.input_tokens, self.output_tokens, self.cache_read_tokens, self.cache_creation_tokens]
    }

    fn knows_tokens(&self) -> bool {
        self.parts().iter().any(Option::is_some)
    }
}

/// What counts for a run that did not say what it cost. Money in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// For each hour of a run; zero: not configured.
    pub microusd_per_hour: u64,
    /// For each hour of a run that did not say how many; zero: not configured.
    pub tokens_per_hour: u64,
    /// For each million tokens, where a run said how many and not what they cost; in the order of [`Usage`].
    pub microusd_per_million: [u64; 4],
}

/// Less than this no run lasts that began: what is not known is never nothing.
const SHORTEST: Milliseconds = Milliseconds::from_seconds(1);

impl Price {
    /// What counts for a run: what it said, and by this price what it did not.
    pub fn count(&self, usage: &Usage, wall: Milliseconds) -> Spent {
        let hours = |each: u64| share(each, wall.0.max(SHORTEST.0), 3_600_000);
        let by_tokens = usage.parts().into_iter().zip(self.microusd_per_million);
        let by_tokens =
            by_tokens.map(|(tokens, each)| share(each, tokens.unwrap_or(0), 1_000_000)).fold(0, u64::saturating_add);
        // Of two guesses the dearer one.
        let priced = if usage.cost_microusd.is_some() { 0 } else { by_tokens.max(hours(self.microusd_per_hour)) };
        Spent {
            input_tokens: usage.input_tokens.unwrap_or(0),
            output_tokens: usage.output_tokens.unwrap_or(0),
            cache_read_tokens: usage.cache_read_tokens.unwrap_or(0),
            cache_creation_tokens: usage.cache_creation_tokens.unwrap_or(0),
            priced_tokens: if usage.knows_tokens() { 0 } else { hours(self.tokens_per_hour) },
            cost_microusd: usage.cost_microusd.unwrap_or(priced),
            priced_microusd: priced,
            wall,
        }
    }
}

/// `each * amount / unit`, rounded up.
fn share(each: u64, amount: u64, unit: u64) -> u64 {
    let share = (u128::from(each) * u128::from(amount)).div_ceil(u128::from(unit));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// What counts as spent: by one run, or by several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Tokens in, without those of the cache.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// Tokens in that were read from the cache.
    #[serde(default)]
    pub cache_read_tokens: u64,
    /// Tokens in that were written to the cache.
    #[serde(default)]
    pub cache_creation_tokens: u64,
    /// Tokens of runs that did not say how many, by the configured price.
    #[serde(default)]
    pub priced_tokens: u64,
    /// Millionths of a US dollar, those by the configured price among them.
    pub cost_microusd: u64,
    /// Those of them that nobody reported: they count by the configured price.
    #[serde(default)]
    pub priced_microusd: u64,
    /// From launch to end.
    pub wall: Milliseconds,
}

impl Spent {
    /// Both together; a sum that is too large is the largest.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_creation_tokens: self.cache_creation_tokens.saturating_add(other.cache_creation_tokens),
            priced_tokens: self.priced_tokens.saturating_add(other.priced_tokens),
            cost_microusd: self.cost_microusd.saturating_add(other.cost_microusd),
            priced_microusd: self.priced_microusd.saturating_add(other.priced_microusd),
            wall: Milliseconds(self.wall.0.saturating_add(other.wall.0)),
        }
    }

    /// Tokens in as people are shown them: those of the cache too.
    pub const fn shown_input(&self) -> u64 {
        self.input_tokens.saturating_add(self.cache_read_tokens).saturating_add(self.cache_creation_tokens)
    }

    /// All tokens that count.
    pub const fn tokens(&self) -> u64 {
        self.shown_input().saturating_add(self.output_tokens).saturating_add(self.priced_tokens)
    }

    /// `$1.24 ($0.20 by the price), 900 tokens in (600 by the cache), 100 out, 12 min`; what is nothing is left out.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        if self.cost_microusd > 0 {
            let mut text = dollars(self.cost_microusd);
            if self.priced_microusd > 0 {
                let _ = write!(text, " ({} by the price)", dollars(self.priced_microusd));
            }
            parts.push(text);
        }
        if self.shown_input() + self.output_tokens > 0 {
            let mut text = format!("{} tokens in", self.shown_input());
            let cached = self.cache_read_tokens.saturating_add(self.cache_creation_tokens);
            if cached > 0 {
                let _ = write!(text, " ({cached} by the cache)");
            }
            let _ = write!(text, ", {} out", self.output_tokens);
            parts.push(text);
        }
        if self.priced_tokens > 0 {
            parts.push(format!("{} tokens by the price", self.priced_tokens));
        }
        parts.push(span(self.wall));
        parts.join(", ")
    }
}

/// An amount as people write it, no less than it is.
pub fn dollars(microusd: u64) -> String {
    let cents = microusd.div_ceil(10_000);
    format!("${}.{:02}", cents / 100, cents % 100)
}

/// A span as people write it.
pub fn span(span: Milliseconds) -> String {
    let seconds = span.0 / 1000;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// What the runs of one role cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSum {
    /// How many.
    pub runs: u32,
    /// Together.
    pub spent: Spent,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Milliseconds = Milliseconds::from_seconds(3600);

    fn price() -> Price {
        Price {
            microusd_per_hour: 6_000_000,
            tokens_per_hour: 1_000_000,
            microusd_per_million: [3_000_000, 15_000_000, 300_000, 3_750_000],
        }
    }

    #[test]
    fn what_was_said_counts_and_what_was_not_counts_by_the_price() {
        let said = Usage { cost_microusd: Some(7), input_tokens: Some(10), ..Usage::default() };
        let spent = price().count(&said, HOUR);
        assert_eq!((spent.cost_microusd, spent.priced_microusd, spent.tokens()), (7, 0, 10));
        let silent = price().count(&Usage::default(), HOUR);
        assert_eq!((silent.cost_microusd, silent.priced_microusd), (6_000_000, 6_000_000));
        assert_eq!((silent.tokens(), silent.priced_tokens), (1_000_000, 1_000_000));
        let free = Usage { cost_microusd: Some(0), output_tokens: Some(0), ..Usage::default() };
        assert_eq!(price().count(&free, HOUR).cost_microusd, 0, "said is said");
    }

    #[test]
    fn of_two_guesses_the_dearer_counts() {
        let tokens = |output| Usage { output_tokens: Some(output), ..Usage::default() };
        assert_eq!(price().count(&tokens(1_000_000), HOUR).cost_microusd, 15_000_000);
        assert_eq!(price().count(&tokens(1), HOUR).cost_microusd, 6_000_000);
        let cached = Usage { cache_read_tokens: Some(1), cache_creation_tokens: Some(1), ..Usage::default() };
        assert_eq!(price().count(&cached, Milliseconds(0)).tokens(), 2);
    }

    #[test]
    fn what_is_not_known_is_never_nothing() {
        let spent = price().count(&Usage::default(), Milliseconds(0));
        assert!(spent.cost_microusd > 0 && spent.priced_tokens > 0, "{spent:?}");
        let most = price().count(&Usage { input_tokens: Some(u64::MAX), ..Usage::default() }, Milliseconds(u64::MAX));
        assert!(most.cost_microusd > u64::MAX / 4, "no figure wraps around");
        assert_eq!(most.plus(most).input_tokens, u64::MAX);
    }

    #[test]
    fn rows_of_earlier_hosts_are_read() {
        let old = r#"{"input_tokens":3,"output_tokens":2,"cost_microusd":1,"wall":5}"#;
        let spent: Spent = serde_json::from_str(old).unwrap();
        assert_eq!((spent.tokens(), spent.priced_microusd, spent.wall), (5, 0, Milliseconds(5)));
    }

    #[test]
    fn a_sum_reads_well() {
        let spent = Spent {
            input_tokens: 300,
            cache_read_tokens: 500,
            cache_creation_tokens: 100,
            output_tokens: 100,
            cost_microusd: 1_234_567,
            priced_microusd: 200_000,
            wall: Milliseconds(720_000),
            ..Spent::default()
        };
        assert_eq!(spent.words(), "$1.24 ($0.20 by the price), 900 tokens in (600 by the cache), 100 out, 12 min");
        assert_eq!(Spent::default().words(), "0 s");
    }
}
