//! Budgets: whether a run may begin, or go on, by what was spent so far. Pure: sums in, an answer out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cost::{Spent, dollars, span};
use crate::document::Role;
use crate::time::Milliseconds;

/// A budget of which less is left is spent: no run that began does anything in less.
pub const LEAST_WALL: Milliseconds = Milliseconds::from_seconds(1);
/// A day of the project's budget, in milliseconds: it begins at midnight UTC.
pub const DAY_MS: u64 = 24 * 3_600_000;

/// What may be spent at most; `None`: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// Millionths of a US dollar.
    pub cost_microusd: Option<u64>,
    /// Tokens in and out, those of the cache too.
    pub tokens: Option<u64>,
    /// Runs' time, added up.
    pub wall: Option<Milliseconds>,
}

/// The budgets of a project, beside those of each run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budgets {
    /// Of each task, over its whole way.
    pub task: Cap,
    /// Of all tasks, on each day (UTC) by the ends of their runs.
    pub day: Cap,
    /// Of all tasks, ever.
    pub total: Cap,
}

/// Whose budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// One run's, by its role.
    Run(Role),
    /// A task's.
    Task,
    /// A project's, of a day.
    Day,
    /// A project's, in all.
    Total,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure {
    /// Millionths of a US dollar.
    Cost,
    /// Tokens.
    Tokens,
    /// Milliseconds.
    Wall,
}

/// A budget and what was spent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whose.
    pub scope: Scope,
    /// What may be.
    pub cap: Cap,
    /// What was.
    pub spent: Spent,
}

/// A budget of which nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Whose.
    pub scope: Scope,
    /// Of what.
    pub measure: Measure,
    /// What was spent, in the measure's unit.
    pub spent: u64,
    /// What might be.
    pub cap: u64,
}

/// The first budget of which nothing is left. None: a run may begin, or go on.
pub fn exhausted(accounts: &[Account]) -> Option<Exhausted> {
    accounts.iter().find_map(|Account { scope, cap, spent }| {
        let measures = [
            (Measure::Cost, spent.cost_microusd, cap.cost_microusd, 1),
            (Measure::Tokens, spent.tokens(), cap.tokens, 1),
            (Measure::Wall, spent.wall.0, cap.wall.map(|wall| wall.0), LEAST_WALL.0),
        ];
        measures.into_iter().find_map(|(measure, spent, cap, least)| {
            let cap = cap?;
            (cap.saturating_sub(spent) < least).then_some(Exhausted { scope: *scope, measure, spent, cap })
        })
    })
}

/// What is left of budgets, by measures that a run can be held to from its first moment; none: nothing bounds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Time.
    pub wall: Option<Milliseconds>,
    /// Money, in millionths of a dollar.
    pub cost_microusd: Option<u64>,
}

/// How much is left of them: of the one that has the least.
pub fn left(accounts: &[Account]) -> Left {
    let wall = |account: &Account| Some(Milliseconds(account.cap.wall?.0.saturating_sub(account.spent.wall.0)));
    let cost = |account: &Account| Some(account.cap.cost_microusd?.saturating_sub(account.spent.cost_microusd));
    Left { wall: accounts.iter().filter_map(wall).min(), cost_microusd: accounts.iter().filter_map(cost).min() }
}

/// A sentence: the budget, the figure, the cap, and what would move it.
impl fmt::Display for Exhausted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whose, table) = match self.scope {
            Scope::Run(role) => (format!("a run of the {role}"), format!("`budget` of [roles.{role}]")),
            Scope::Task => ("this task".to_owned(), "[budget.task]".to_owned()),
            Scope::Day => ("the project's day".to_owned(), "[budget.day]".to_owned()),
            Scope::Total => ("the project in all".to_owned(), "[budget.total]".to_owned()),
        };
        let (key, spent, cap) = match self.measure {
            Measure::Cost => ("cost-usd", dollars(self.spent), dollars(self.cap)),
            Measure::Tokens => ("tokens", format!("{} tokens", self.spent), self.cap.to_string()),
            Measure::Wall => ("wall", span(Milliseconds(self.spent)), span(Milliseconds(self.cap))),
        };
        let moves = match self.scope {
            Scope::Run(_) => {
                format!("resume it for a run with a budget of its own, or raise `{key}` of {table} before")
            }
            Scope::Task | Scope::Total => format!("raise `{key}` of {table} in the project's file, then resume it"),
            Scope::Day => {
                format!("resume it after midnight UTC, or raise `{key}` of {table} in the project's file before")
            }
        };
        write!(formatter, "the budget of {whose} is spent: {spent} of {cap}; {moves}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(scope: Scope, cap: Cap, spent: Spent) -> Account {
        Account { scope, cap, spent }
    }

    fn spent(cost_microusd: u64, tokens: u64, wall_seconds: u64) -> Spent {
        let wall = Milliseconds::from_seconds(wall_seconds);
        Spent { cost_microusd, output_tokens: tokens, wall, ..Spent::default() }
    }

    #[test]
    fn a_budget_is_spent_when_nothing_of_it_is_left() {
        let cap = Cap { cost_microusd: Some(5_000_000), tokens: Some(100), wall: Some(Milliseconds::from_seconds(60)) };
        let table = [
            (spent(0, 0, 0), None),
            (spent(4_999_999, 99, 59), None),
            (spent(5_000_000, 0, 0), Some(Measure::Cost)),
            (spent(0, 100, 0), Some(Measure::Tokens)),
            (spent(0, 0, 60), Some(Measure::Wall)),
            (spent(u64::MAX, u64::MAX, u64::MAX), Some(Measure::Cost)),
        ];
        for (spent, expected) in table {
            let found = exhausted(&[account(Scope::Task, cap, spent)]);
            assert_eq!(found.map(|found| found.measure), expected, "{spent:?}");
            assert_eq!(exhausted(&[account(Scope::Task, Cap::default(), spent)]), None, "no cap, no end");
        }
        let mut priced = spent(0, 99, 0);
        priced.priced_tokens = 1;
        assert!(exhausted(&[account(Scope::Day, cap, priced)]).is_some(), "what counts by the price counts");
    }

    #[test]
    fn the_time_that_is_left_is_that_of_the_tightest() {
        let wall = |seconds| Cap { wall: Some(Milliseconds::from_seconds(seconds)), ..Cap::default() };
        let accounts = [
            account(Scope::Task, wall(100), spent(0, 0, 70)),
            account(Scope::Day, wall(50), spent(0, 0, 10)),
            account(Scope::Total, Cap::default(), spent(0, 0, 1000)),
        ];
        assert_eq!(left(&accounts).wall, Some(Milliseconds::from_seconds(30)));
        assert_eq!(left(&accounts[2..]), Left::default());
    }

    #[test]
    fn the_sentence_names_budget_figure_cap_and_what_moves_it() {
        let cap = Cap { cost_microusd: Some(5_000_000), ..Cap::default() };
        let said = |scope| exhausted(&[account(scope, cap, spent(5_200_000, 0, 0))]).unwrap().to_string();
        assert_eq!(
            said(Scope::Task),
            "the budget of this task is spent: $5.20 of $5.00; raise `cost-usd` of [budget.task] in the project's file, \
             then resume it"
        );
        assert!(said(Scope::Run(Role::Developer)).contains("`budget` of [roles.developer]"));
        assert!(said(Scope::Day).contains("after midnight UTC"));
        assert!(said(Scope::Total).contains("[budget.total]"));
    }
}
