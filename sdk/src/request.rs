//! The request: which capabilities a component asks for, and why, as a custom section that travels in the component.

/// The most that a request may hold.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Embeds the request, once in a component. The argument is TOML: a literal or `include_str!("request.toml")`.
///
/// Every capability whose functions the component calls must stand in it, each with a reason; `log` and `clock` need none. A
/// component that calls no capability needs no request.
///
/// ```
/// gatewright_sdk::request!(
///     r#"
///     version = 1
///
///     [[capability]]
///     name = "documents"
///     reason = "reads the verdict that the reviewer wrote"
///
///     [[capability]]
///     name = "http:https://api.example.org"
///     reason = "looks up the licence of each new dependency"
///     credential = "licences"
///     optional = true
///     "#
/// );
/// # fn main() {}
/// ```
///
/// What is no text for a request does not compile:
///
/// ```compile_fail
/// gatewright_sdk::request!("");
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! request {
    ($toml:expr $(,)?) => {
        const _: () = {
            const REQUEST: &str = $toml;
            const CHECKED: () = $crate::request::check(REQUEST);
            // A module of the host's own target has no use for the section, and Mach-O refuses its name.
            #[cfg(target_family = "wasm")]
            #[used]
            #[unsafe(link_section = "gatewright:request")]
            static SECTION: [u8; REQUEST.len()] = $crate::request::bytes::<{ REQUEST.len() }>(REQUEST);
            CHECKED
        };
    };
}

/// Ends the compilation on what no host would read.
#[doc(hidden)]
pub const fn check(request: &str) {
    let bytes = request.as_bytes();
    assert!(!bytes.is_empty(), "the request is empty: leave it out, or say `version = 1`");
    assert!(bytes.len() <= REQUEST_BYTES_MAX, "a request holds 64 KiB at most");
    let mut index = 0;
    while index < bytes.len() {
        assert!(bytes[index] != 0, "a request holds no NUL");
        index += 1;
    }
}

/// The section's bytes: a reference would leave only a pointer in it.
#[doc(hidden)]
pub const fn bytes<const LENGTH: usize>(request: &str) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes.copy_from_slice(request.as_bytes());
    bytes
}
