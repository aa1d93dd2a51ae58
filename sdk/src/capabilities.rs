//! What a plugin may be granted. Which kind may import which is said by the kinds' modules, which show these under their names.

pub mod documents;
pub mod http;

pub use crate::bindings::shared::gatewright::exec::exec;
pub use crate::bindings::shared::gatewright::forge::forge;
pub use crate::bindings::shared::gatewright::history::history;
pub use crate::bindings::shared::gatewright::kv::store as kv;
pub use crate::bindings::shared::gatewright::repo::repo;
pub use crate::bindings::shared::gatewright::runs::runs;
pub use crate::bindings::shared::gatewright::tracker::tracker;
