//! The WIT as Rust types. One world that holds all five kinds, so that each interface is bound once.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package gatewright:host;
        world everything {
            include gatewright:plugin/gate-plugin@0.1.0;
            include gatewright:plugin/guard-plugin@0.1.0;
            include gatewright:plugin/estimator-plugin@0.1.0;
            include gatewright:plugin/notifier-plugin@0.1.0;
            include gatewright:plugin/status-mapper-plugin@0.1.0;
        }
    ",
    world: "gatewright:host/everything",
    imports: { default: trappable },
});
