//! From which address it is asked what this thread asks of the store.
//!
//! The audit wants it of every deed, and no deed is another one for it: so it goes beside the calls of the ports and not through
//! each of them.

use std::cell::RefCell;

thread_local! {
    static ADDRESS: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Puts back what stood there before, whether the work returned or panicked.
struct Before(Option<String>);

impl Drop for Before {
    fn drop(&mut self) {
        ADDRESS.with_borrow_mut(|address| address.clone_from(&self.0));
    }
}

/// Works for whoever asks from there; none: for nobody at a socket.
pub fn asked_from<T>(address: Option<String>, work: impl FnOnce() -> T) -> T {
    let _before = Before(ADDRESS.replace(address));
    work()
}

/// Whom this thread works for.
pub fn asker() -> Option<String> {
    ADDRESS.with_borrow(Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_works_for_nobody_once_the_work_is_done() {
        let address = || Some("192.0.2.1".to_owned());
        assert_eq!(asked_from(address(), || asked_from(None, asker)), None);
        assert_eq!(asked_from(address(), asker), address());
        assert!(std::panic::catch_unwind(|| asked_from(address(), || panic!("out of ink"))).is_err());
        assert_eq!(asker(), None);
    }
}
