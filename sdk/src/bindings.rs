//! What wit-bindgen makes of `wit/`. The shared interfaces are bound once; each kind's own package refers to them.
//!
//! An author meets these types under the names of the modules beside this one.
#![expect(clippy::pedantic, reason = "generated")]

/// All that a plugin of any kind may import. What a component does not call, it does not import.
pub mod shared {
    wit_bindgen::generate!({
        inline: "
            package gatewright:sdk@0.1.0;
            world shared {
                import gatewright:tasks/tasks@0.1.0;
                import gatewright:errors/errors@0.1.0;
                import gatewright:log/log@0.1.0;
                import gatewright:clock/clock@0.1.0;
                import gatewright:repo/repo@0.1.0;
                import gatewright:documents/documents@0.1.0;
                import gatewright:forge/forge@0.1.0;
                import gatewright:tracker/tracker@0.1.0;
                import gatewright:runs/runs@0.1.0;
                import gatewright:history/history@0.1.0;
                import gatewright:kv/store@0.1.0;
                import gatewright:http/client@0.1.0;
                import gatewright:exec/exec@0.1.0;
            }
        ",
        path: "../wit",
        generate_all,
        generate_unused_types: true,
        additional_derives: [Clone, PartialEq],
    });
}

/// One kind's world, with everything but its export taken from [`shared`].
macro_rules! kind {
    ($module:ident, $world:literal, $export:literal, $path:literal, [$($import:literal = $($segment:ident)::+),+ $(,)?]) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit",
                world: $world,
                with: {
                    "gatewright:tasks/tasks@0.1.0": crate::bindings::shared::gatewright::tasks::tasks,
                    "gatewright:errors/errors@0.1.0": crate::bindings::shared::gatewright::errors::errors,
                    "gatewright:log/log@0.1.0": crate::bindings::shared::gatewright::log::log,
                    "gatewright:clock/clock@0.1.0": crate::bindings::shared::gatewright::clock::clock,
                    $($import: crate::bindings::shared::gatewright::$($segment)::+,)+
                    $export: generate,
                },
                generate_unused_types: true,
                additional_derives: [Clone, PartialEq],
                pub_export_macro: true,
                export_macro_name: "export_world",
                default_bindings_module: $path,
            });
        }
    };
}

kind!(
    gate,
    "gatewright:plugin/gate-plugin",
    "gatewright:gate/gate@0.1.0",
    "gatewright_sdk::bindings::gate",
    [
        "gatewright:repo/repo@0.1.0" = repo::repo,
        "gatewright:documents/documents@0.1.0" = documents::documents,
        "gatewright:forge/forge@0.1.0" = forge::forge,
        "gatewright:tracker/tracker@0.1.0" = tracker::tracker,
        "gatewright:runs/runs@0.1.0" = runs::runs,
        "gatewright:history/history@0.1.0" = history::history,
        "gatewright:kv/store@0.1.0" = kv::store,
        "gatewright:http/client@0.1.0" = http::client,
        "gatewright:exec/exec@0.1.0" = exec::exec,
    ]
);

kind!(
    guard,
    "gatewright:plugin/guard-plugin",
    "gatewright:guard/guard@0.1.0",
    "gatewright_sdk::bindings::guard",
    [
        "gatewright:forge/forge@0.1.0" = forge::forge,
        "gatewright:tracker/tracker@0.1.0" = tracker::tracker,
        "gatewright:kv/store@0.1.0" = kv::store,
        "gatewright:http/client@0.1.0" = http::client,
    ]
);

kind!(
    estimator,
    "gatewright:plugin/estimator-plugin",
    "gatewright:estimator/estimator@0.1.0",
    "gatewright_sdk::bindings::estimator",
    [
        "gatewright:tracker/tracker@0.1.0" = tracker::tracker,
        "gatewright:history/history@0.1.0" = history::history,
        "gatewright:kv/store@0.1.0" = kv::store,
        "gatewright:http/client@0.1.0" = http::client,
    ]
);

kind!(
    notifier,
    "gatewright:plugin/notifier-plugin",
    "gatewright:notifier/notifier@0.1.0",
    "gatewright_sdk::bindings::notifier",
    [
        "gatewright:tracker/tracker@0.1.0" = tracker::tracker,
        "gatewright:kv/store@0.1.0" = kv::store,
        "gatewright:http/client@0.1.0" = http::client,
    ]
);

/// Imports nothing but the log and the clock.
pub mod status_mapper {
    wit_bindgen::generate!({
        path: "../wit",
        world: "gatewright:plugin/status-mapper-plugin",
        with: {
            "gatewright:tasks/tasks@0.1.0": crate::bindings::shared::gatewright::tasks::tasks,
            "gatewright:errors/errors@0.1.0": crate::bindings::shared::gatewright::errors::errors,
            "gatewright:log/log@0.1.0": crate::bindings::shared::gatewright::log::log,
            "gatewright:clock/clock@0.1.0": crate::bindings::shared::gatewright::clock::clock,
            "gatewright:status-mapper/status-mapper@0.1.0": generate,
        },
        generate_unused_types: true,
        additional_derives: [Clone, PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_world",
        default_bindings_module: "gatewright_sdk::bindings::status_mapper",
    });
}
