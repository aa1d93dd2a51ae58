//! Every table and key that the files may hold. The reader knows no other, and `docs/configuration.md` explains each.

use crate::near::nearest;

/// A kind of table.
#[derive(Debug)]
pub(crate) struct Shape {
    /// How messages call it; `NAME` stands for what the operator chose.
    pub(crate) name: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [&'static str],
}

pub(crate) const HOST: Shape = Shape {
    name: "gatewright.toml",
    keys: &[
        "listen",
        "operator",
        "limits",
        "drivers",
        "reconcile",
        "keep",
        "shutdown",
        "sandbox",
        "plugins",
        "webhooks",
        "log",
        "telemetry",
    ],
};
pub(crate) const LISTEN: Shape = Shape { name: "[listen]", keys: &["operator"] };
pub(crate) const OPERATOR: Shape = Shape { name: "[operator]", keys: &["hosts", "proxies", "https"] };
pub(crate) const LIMITS: Shape = Shape {
    name: "[limits]",
    keys: &["runs", "runs-per-project", "runs-per-repository", "runs-per-driver", "free-space-mib"],
};
pub(crate) const DRIVER: Shape = Shape { name: "[drivers.NAME]", keys: &["runs"] };
pub(crate) const SHUTDOWN: Shape = Shape { name: "[shutdown]", keys: &["mode"] };
pub(crate) const RECONCILE: Shape = Shape { name: "[reconcile]", keys: &["trackers", "forges"] };
pub(crate) const KEEP: Shape = Shape { name: "[keep]", keys: &["runs"] };
pub(crate) const LOG: Shape = Shape { name: "[log]", keys: &["format", "level"] };
pub(crate) const TELEMETRY: Shape = Shape { name: "[telemetry]", keys: &["otlp"] };
pub(crate) const SANDBOX: Shape = Shape { name: "[sandbox]", keys: &["mode", "readable"] };
pub(crate) const PLUGINS: Shape = Shape { name: "[plugins]", keys: &["ceiling", "memory-mib", "time-ms"] };

pub(crate) const WEBHOOKS: Shape = Shape { name: "[webhooks]", keys: &["listen"] };
pub(crate) const PROJECT_WEBHOOKS: Shape = Shape { name: "[webhooks] of a project", keys: &["plane", "gitea"] };
pub(crate) const PLANE_HOOK: Shape = Shape { name: "[webhooks.plane]", keys: &["project", "secret-files", "unsigned"] };
pub(crate) const GITEA_HOOK: Shape =
    Shape { name: "[webhooks.gitea]", keys: &["repository", "secret-files", "unsigned"] };

pub(crate) const PROJECT: Shape = Shape {
    name: "projects/NAME.toml",
    keys: &[
        "name",
        "prefix",
        "repository",
        "base-branch",
        "mode",
        "serial",
        "limits",
        "pipeline",
        "stage",
        "roles",
        "commands",
        "gates",
        "plugin",
        "guard",
        "notifier",
        "status-mapper",
        "deciders",
        "budget",
        "price",
        "ladder",
        "webhooks",
    ],
};
pub(crate) const STAGE: Shape = Shape {
    name: "[[stage]]",
    keys: &["name", "role", "passage", "terminal", "to", "on-fail", "on-moved-base", "bug-to", "steps"],
};
pub(crate) const STEP: Shape = Shape {
    name: "a step",
    keys: &["gate", "plugin", "action", "consent", "name", "lease", "patience", "on-patience", "waived-by"],
};
pub(crate) const ROLE: Shape = Shape {
    name: "[roles.NAME]",
    keys: &[
        "command",
        "run",
        "prompt",
        "timeout",
        "grace",
        "driver",
        "transient",
        "usage",
        "model",
        "effort",
        "budget",
        "pass-environment",
        "readable",
        "writable",
        "network",
        "limits",
        "sandboxed",
        "program",
        "api",
        "api-key",
        "api-retries",
        "api-timeout",
        "permission-mode",
        "tools",
        "fallback-model",
        "resume",
    ],
};
pub(crate) const LADDER: Shape = Shape { name: "[ladder]", keys: &["claude-code", "codex"] };
pub(crate) const RUNG: Shape = Shape { name: "[ladder.DRIVER]", keys: &["model", "effort"] };
pub(crate) const TRANSIENT: Shape = Shape { name: "transient", keys: &["exit-codes", "words"] };
pub(crate) const PROJECT_LIMITS: Shape = Shape { name: "[limits] of a project", keys: &["runs"] };
pub(crate) const USAGE: Shape = Shape {
    name: "usage",
    keys: &[
        "format",
        "cost-usd",
        "input-tokens",
        "output-tokens",
        "cache-read-tokens",
        "cache-creation-tokens",
        "figures",
        "id",
    ],
};
pub(crate) const BUDGET: Shape = Shape { name: "[budget]", keys: &["task", "day", "total"] };
pub(crate) const CAP: Shape = Shape { name: "a budget", keys: &["cost-usd", "tokens", "wall"] };
pub(crate) const PRICE: Shape = Shape {
    name: "[price]",
    keys: &[
        "usd-per-hour",
        "tokens-per-hour",
        "usd-per-million-input-tokens",
        "usd-per-million-output-tokens",
        "usd-per-million-cache-read-tokens",
        "usd-per-million-cache-creation-tokens",
    ],
};
pub(crate) const WORKER_LIMITS: Shape = Shape { name: "limits", keys: &["memory", "processes", "disk", "open-files"] };
pub(crate) const COMMAND: Shape = Shape {
    name: "[commands.NAME]",
    keys: &["run", "timeout", "grace", "pass-environment", "readable", "writable", "network", "limits", "sandboxed"],
};
pub(crate) const GATE: Shape = Shape { name: "[gates.NAME]", keys: &["settings"] };
pub(crate) const PLUGIN: Shape = Shape {
    name: "[[plugin]]",
    keys: &[
        "id",
        "kind",
        "file",
        "sha256",
        "grants",
        "refused",
        "amend",
        "step",
        "edge",
        "before",
        "patience",
        "on-patience",
    ],
};
pub(crate) const GUARD: Shape =
    Shape { name: "[[guard]]", keys: &["plugin", "kinds", "settings", "on-error", "patience"] };
pub(crate) const NOTIFIER: Shape = Shape { name: "[[notifier]]", keys: &["plugin", "settings"] };
pub(crate) const STATUS_MAPPER: Shape = Shape { name: "[status-mapper]", keys: &["plugin", "settings"] };
pub(crate) const DECIDERS: Shape =
    Shape { name: "[deciders]", keys: &["start", "approve", "reject", "confirm-deploy", "stop", "estimate"] };
pub(crate) const ROLES: Shape =
    Shape { name: "[roles]", keys: &["analyst", "architect", "developer", "reviewer", "tester", "deployer"] };
pub(crate) const COMMANDS: Shape = Shape { name: "[commands]", keys: &["test", "staging", "deploy"] };

/// Tables within a table, and how messages call their places: what is written one table too high is meant for one of these.
const BELOW: [(&Shape, &Shape, &str); 8] = [
    (&BUDGET, &CAP, "[budget.task], [budget.day] or [budget.total]"),
    (&PROJECT, &CAP, "[budget.task], [budget.day] or [budget.total]"),
    (&WEBHOOKS, &GITEA_HOOK, "[webhooks.gitea] or [webhooks.plane] of a project's file"),
    (&PROJECT_WEBHOOKS, &GITEA_HOOK, "[webhooks.gitea] or [webhooks.plane]"),
    (&LADDER, &RUNG, "[ladder.claude-code] or [ladder.codex]"),
    (&ROLES, &ROLE, "a role's own table, such as [roles.developer]"),
    (&COMMANDS, &COMMAND, "a command's own table, such as [commands.test]"),
    (&HOST, &LIMITS, "[limits]"),
];

/// The key of a table within this one that a word was probably meant for, and where that table stands.
pub(crate) fn below(shape: &Shape, word: &str) -> Option<(&'static str, &'static str)> {
    let within = BELOW.iter().filter(|(above, ..)| above.name == shape.name);
    within.into_iter().find_map(|(_, table, place)| Some((nearest(word, table.keys)?, *place)))
}

/// All of them: what the document must explain.
#[cfg(test)]
pub(crate) const ALL: [&Shape; 37] = [
    &HOST,
    &LISTEN,
    &OPERATOR,
    &LIMITS,
    &DRIVER,
    &SHUTDOWN,
    &LADDER,
    &RUNG,
    &TRANSIENT,
    &PROJECT_LIMITS,
    &RECONCILE,
    &LOG,
    &TELEMETRY,
    &SANDBOX,
    &PLUGINS,
    &PROJECT,
    &STAGE,
    &STEP,
    &ROLES,
    &ROLE,
    &USAGE,
    &WORKER_LIMITS,
    &COMMANDS,
    &COMMAND,
    &GATE,
    &PLUGIN,
    &GUARD,
    &NOTIFIER,
    &STATUS_MAPPER,
    &DECIDERS,
    &BUDGET,
    &CAP,
    &PRICE,
    &WEBHOOKS,
    &PROJECT_WEBHOOKS,
    &PLANE_HOOK,
    &GITEA_HOOK,
];
