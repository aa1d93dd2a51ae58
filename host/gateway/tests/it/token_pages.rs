//! Tokens on the page about the host: who may see them, a secret that is shown once and kept nowhere, a revocation at once.

use axum::http::{StatusCode, header};
use conductor::ports::access::{AuditFilter, Deed};
use gateway::api::MadeToken;

use crate::buttons::press;
use crate::sessions::Browser;
use crate::world::{NOW, SECRET, World};

/// What stands in the element of the secret.
fn secret(page: &str) -> String {
    let (_, rest) = page.split_once("id=\"secret\">").unwrap_or_else(|| panic!("no secret: {page}"));
    rest.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_made_on_a_page_that_tells_its_secret_once_and_leaves_it_nowhere() {
    let world = World::new();
    let browser = Browser::log_in(&world, SECRET).await;
    let text = browser.get(&world, "/system").await.text().to_owned();
    assert!(text.contains("action=\"/system/tokens\"") && text.contains("gatewright token new NAME --right operate"));
    let fields = [("name", "ada"), ("right", "operate"), ("days", "30")];
    let made = press(&world, &browser, "/system/tokens", &fields).await;
    assert_eq!((made.status, &made.headers[header::CACHE_CONTROL]), (StatusCode::OK, &"no-store".parse().unwrap()));
    assert!(made.headers.get(header::LOCATION).is_none() && made.headers.get(header::SET_COOKIE).is_none());
    let secret = secret(made.text());
    assert!(secret.starts_with("gwt_") && made.text().matches(&secret).count() == 1, "{}", made.text());
    let ada = Browser::log_in(&world, &secret).await;
    let shown = browser.get(&world, "/system").await.text().to_owned();
    for part in ["ada", "until 2026-10-21", "browsers logged in: 1", "gatewright token revoke ada"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains(&secret));
    let kept =
        world.files().into_iter().find(|(_, bytes)| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
    assert_eq!(kept.map(|(path, _)| path), None);
    let again = press(&world, &browser, "/system/tokens", &fields).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "a page loaded twice makes none: {}", again.text());
    let text = ada.get(&world, "/system").await.text().to_owned();
    assert!(!text.contains("/system/tokens") && text.contains("gatewright token list"), "{text}");
    for path in ["/system/tokens", "/system/tokens/ada/revoke"] {
        let refused = press(&world, &ada, path, &[("name", "eve"), ("right", "admin")]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.text().contains("this needs `admin`"), "{}", refused.text());
    }
    for own in ["host", "Nobody", "BOARD", "plane", "gitea", "gatewright"] {
        let refused =
            press(&world, &browser, "/system/tokens", &[("name", own), ("right", "read"), ("days", "")]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{own}");
        assert!(refused.text().contains("that the audit has for the host&#39;s own doing"), "{}", refused.text());
        let body = serde_json::json!({"name": own, "right": "read"}).to_string();
        let refused = world.post("/api/v1/tokens", &body).await;
        assert!(
            refused.status == StatusCode::BAD_REQUEST && refused.detail().contains(&format!("`{own}-token` for one"))
        );
    }
    assert_eq!(
        world.post("/api/v1/tokens", r#"{"name":"Operator","right":"read"}"#).await.status,
        StatusCode::CONFLICT
    );
    for (field, wrong) in [("name", "a b"), ("days", "soon"), ("days", "9999999"), ("right", "all")] {
        let mut fields = vec![("name", "eve"), ("right", "read"), ("days", "")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, wrong));
        let refused = press(&world, &browser, "/system/tokens", &fields).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{field}: {}", refused.text());
        assert!(!refused.text().contains("expires_in"), "the form has no such field: {}", refused.text());
    }
    for days in ["0", "3661"] {
        let fields = [("name", "eve"), ("right", "read"), ("days", days)];
        let refused = press(&world, &browser, "/system/tokens", &fields).await;
        assert!(refused.text().contains("a token lasts from 1 to 3660 days"), "{}", refused.text());
    }
    let filter = AuditFilter { what: Some(Deed::MakeToken), ..AuditFilter::default() };
    let lines = world.access.audit(&filter, 10).unwrap();
    let told = lines.iter().map(|line| (line.who.as_str(), line.subject.as_deref())).collect::<Vec<_>>();
    assert_eq!(told, [("operator", Some("ada"))]);
}

#[tokio::test]
async fn a_token_is_revoked_on_its_page_and_the_second_press_is_told_by_whom() {
    let world = World::new();
    let made: MadeToken = world.post("/api/v1/tokens", r#"{"name":"ada","right":"admin"}"#).await.parse();
    let ada = Browser::log_in(&world, &made.secret).await;
    let browser = Browser::log_in(&world, SECRET).await;
    let text = browser.get(&world, "/system").await.text().to_owned();
    assert!(text.contains("logged-in browsers that end with it: <strong>1</strong>"), "{text}");
    let revoked = press(&world, &browser, "/system/tokens/ada/revoke", &[]).await;
    assert_eq!(revoked.headers[header::LOCATION], "/system?did=token-revoked", "{}", revoked.text());
    assert_eq!(press(&world, &ada, "/stop-all", &[("count", "0")]).await.status, StatusCode::UNAUTHORIZED);
    let late = press(&world, &browser, "/system/tokens/ada/revoke", &[]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text().contains("`ada` was revoked meanwhile by"), "{}", late.text());
    let text = browser.get(&world, "/system").await.text().to_owned();
    assert!(text.contains("revoked 2026-09-21") && !text.contains("/system/tokens/ada/revoke"), "{text}");
    assert_eq!(press(&world, &browser, "/system/tokens/eve/revoke", &[]).await.status, StatusCode::NOT_FOUND);
    let own = press(&world, &browser, "/system/tokens/operator/revoke", &[]).await;
    assert!(own.status == StatusCode::CONFLICT && own.text().contains("operator-token"), "{}", own.text());
}

/// Who advises to revoke what nobody uses must know that it is used.
#[tokio::test]
async fn who_works_in_a_browser_uses_the_token_that_opened_it() {
    let world = World::new();
    let made: MadeToken = world.post("/api/v1/tokens", r#"{"name":"ada","right":"admin"}"#).await.parse();
    let used = || async {
        let all: serde_json::Value = world.get_as_operator("/api/v1/tokens").await.parse();
        let ada = all["items"].as_array().unwrap().iter().find(|token| token["name"] == "ada").unwrap().clone();
        ada["used_at"].clone()
    };
    assert_eq!(used().await, serde_json::Value::Null);
    let ada = Browser::log_in(&world, &made.secret).await;
    assert_eq!(ada.get(&world, "/system").await.status, StatusCode::OK);
    let noted = async {
        while used().await != serde_json::json!(NOW) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), noted).await.unwrap();
}
