//! What simulated agents use, and what budgets a seed has. Their own record says what each run really used.

use domain::budget::{Account, Budgets, Cap, Scope, exhausted};
use domain::cost::{Price, Spent, Usage};
use domain::document::Role;
use domain::time::Milliseconds;

use conductor::ports::store::Spending;

use crate::luck::Luck;

/// What counts where an agent does not say: six dollars and a million tokens an hour.
pub const PRICE: Price =
    Price { microusd_per_hour: 6_000_000, tokens_per_hour: 1_000_000, microusd_per_million: [3_000_000; 4] };

/// What an agent uses each second, as far as it says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    tokens: Option<u64>,
    microusd: Option<u64>,
}

impl Rates {
    /// Silent, half silent, or neither; some are greedy.
    pub fn of(luck: &mut Luck) -> Self {
        let greed = if luck.in_thousand(350) { 50 } else { 1 };
        let tokens = luck.in_thousand(650).then(|| luck.below(600) * greed);
        let microusd = luck.in_thousand(550).then(|| luck.below(3_000) * greed);
        Self { tokens, microusd }
    }

    /// After so many milliseconds.
    pub fn after(self, elapsed: u64) -> Usage {
        let figure = |rate: u64| rate * elapsed / 1000;
        Usage {
            input_tokens: self.tokens.map(figure),
            output_tokens: self.tokens.map(|rate| figure(rate) / 10),
            cache_read_tokens: self.tokens.filter(|rate| rate % 2 == 0).map(figure),
            cache_creation_tokens: None,
            cost_microusd: self.microusd.map(figure),
        }
    }
}

/// What a seed's project file says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// Of each run.
    pub run: Cap,
    /// Of the project.
    pub budgets: Budgets,
}

impl Bounds {
    /// Most seeds have none.
    pub fn of(luck: &mut Luck) -> Self {
        if luck.in_thousand(450) {
            return Self::default();
        }
        let mut cap = |scale: u64| Cap {
            cost_microusd: luck.in_thousand(400).then(|| (1 + luck.below(10)) * scale * 500_000),
            tokens: luck.in_thousand(300).then(|| (1 + luck.below(10)) * scale * 100_000),
            wall: luck.in_thousand(300).then(|| Milliseconds::from_seconds((1 + luck.below(10)) * scale * 300)),
        };
        Self { run: cap(1), budgets: Budgets { task: cap(6), day: cap(15), total: cap(40) } }
    }

    /// What forbids a launch, by what was spent when it came.
    pub fn forbid(&self, task: Spent, project: Spending) -> Option<String> {
        let account = |scope, cap, spent| Account { scope, cap, spent };
        let accounts = [
            account(Scope::Run(Role::Developer), self.run, Spent::default()),
            account(Scope::Task, self.budgets.task, task),
            account(Scope::Day, self.budgets.day, project.day),
            account(Scope::Total, self.budgets.total, project.total),
        ];
        exhausted(&accounts).map(|spent| spent.to_string())
    }
}

/// What is wrong with what counts for a run that used this.
pub fn differs(used: &Usage, counted: &Spent) -> Option<String> {
    let said = |figure: Option<u64>, counted: u64| figure.unwrap_or(0) == counted;
    let tokens = said(used.input_tokens, counted.input_tokens)
        && said(used.output_tokens, counted.output_tokens)
        && said(used.cache_read_tokens, counted.cache_read_tokens)
        && used.input_tokens.is_some() == (counted.priced_tokens == 0);
    let cost = match used.cost_microusd {
        Some(cost) => counted.cost_microusd == cost && counted.priced_microusd == 0,
        None => counted.cost_microusd > 0 && counted.priced_microusd == counted.cost_microusd,
    };
    (!tokens || !cost).then(|| format!("it used {used:?}, and what counts is {counted:?}"))
}
