//! Log-in through the municipality's identity provider: OpenID Connect's code flow, with PKCE, nonce and state.
//!
//! Enters: what the provider sends the browser back with. Leaves: the person whom its claim names. Invariants: an answer counts
//! once, in the browser that asked; an authentication context that is demanded is enforced, not only asked for; who has
//! logged in at the provider before must do so again, as phones are shared.

use std::time::Duration;

use openidconnect::core::{
    CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreProviderMetadata, CoreTokenResponse,
};
use openidconnect::{
    AuthenticationContextClass, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, TokenResponse,
};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::doors::Browser;
use super::fetch::{fetch, tls};
use super::origin;
use super::people::Person;
use super::secret::decode;
use crate::Board;
use crate::gateway::Said;
use crate::limits::{FRESH_MS, PROVIDER_AGAIN_MS, PROVIDER_KEPT_MS};
use crate::settings::Oidc;

/// What the provider says of itself, with when it was asked.
pub type Provider = Mutex<Option<(i64, CoreProviderMetadata)>>;

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// A browser that has been sent to the provider.
#[derive(Debug)]
pub struct Asked {
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    /// Where the log-in leads to.
    to: String,
    at: i64,
}

/// What the browser comes back with.
#[derive(Debug, Deserialize)]
pub struct Back {
    #[serde(default)]
    state: String,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("[board.oidc] is not set up")]
    Absent,
    #[error("asking the identity provider {issuer}: {what}; check [board.oidc] and the way there")]
    Provider { issuer: String, what: String },
    #[error("no log-in waits for this answer: it was late, already used, or begun in another browser")]
    Late,
    #[error("the identity provider refused: {0}")]
    Refused(String),
    #[error("the identity provider's word does not hold: {0}")]
    Untrue(String),
    #[error("the identity provider's {claim} names nobody in people.toml")]
    Unknown { claim: String },
}

impl OidcError {
    pub fn said(&self) -> Said {
        match self {
            OidcError::Absent | OidcError::Provider { .. } => Said::new(
                "Kommunens inloggning svarar inte. Använd en nyckel, eller försök igen om en stund.",
                "The municipality's log-in does not answer. Use a key, or try again in a while.",
            ),
            OidcError::Late => Said::new("Det tog för lång tid. Försök igen.", "It took too long. Try again."),
            OidcError::Refused(_) => {
                Said::new("Inloggningen avbröts. Försök igen.", "The log-in was cancelled. Try again.")
            }
            OidcError::Untrue(_) => Said::new(
                "Inloggningen var inte stark nog eller inte färsk. Försök igen med starkare legitimation.",
                "The log-in was not strong enough or not fresh. Try again with a stronger identification.",
            ),
            OidcError::Unknown { .. } => Said::new(
                "Du finns inte upplagd här. Be en administratör lägga till dig.",
                "You are not known here. Ask an administrator to add you.",
            ),
        }
    }
}

/// Where the browser is sent.
///
/// # Errors
/// [`OidcError`].
pub async fn ask(board: &Board, browser: &Browser, to: String) -> Result<String, OidcError> {
    let oidc = board.settings.oidc.as_ref().ok_or(OidcError::Absent)?;
    let client = client(board, oidc, false).await?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let mut request = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .set_pkce_challenge(challenge)
        .add_prompt(CoreAuthPrompt::Login)
        .set_max_age(Duration::ZERO);
    for acr in &oidc.acr {
        request = request.add_auth_context_value(AuthenticationContextClass::new(acr.clone()));
    }
    let (url, state, nonce) = request.url();
    let at = board.gateway.now_ms();
    let asked = Asked { nonce, verifier, to, at };
    board.doors.inner().oidc.begin(state.secret().as_bytes().to_vec(), browser.device, browser.place, at, asked);
    Ok(url.to_string())
}

/// Who has come back, and where to.
///
/// # Errors
/// [`OidcError`].
pub async fn answer(board: &Board, browser: &Browser, back: Back) -> Result<(Person, String), OidcError> {
    let oidc = board.settings.oidc.as_ref().ok_or(OidcError::Absent)?;
    let taken = board.doors.inner().oidc.take(back.state.as_bytes(), browser.device, board.gateway.now_ms());
    let asked = taken.ok_or(OidcError::Late)?;
    if back.iss.is_some_and(|iss| iss != oidc.issuer) {
        return Err(OidcError::Untrue("iss names another provider".into()));
    }
    let code = match (back.code, back.error) {
        (Some(code), None) => code,
        // Ours to print: strangers could write anything there.
        (_, error) => return Err(OidcError::Refused(error.map_or("no code".into(), |e| printable(&e)))),
    };
    let client_now = client(board, oidc, false).await?;
    let failed = |what: String| provider_error(oidc, what);
    let exchange = client_now.exchange_code(AuthorizationCode::new(code)).map_err(|e| failed(e.to_string()))?;
    let tls = tls(oidc.ca.as_deref()).map_err(failed)?;
    let http = move |request: HttpRequest| fetch(tls.clone(), request);
    let tokens = exchange.set_pkce_verifier(asked.verifier).request_async(&http).await;
    let tokens: CoreTokenResponse = tokens.map_err(|e| failed(openidconnect_text(&e)))?;
    let id_token = tokens.id_token().ok_or_else(|| OidcError::Untrue("no id_token in its answer".into()))?;
    let mut checked = check(&client_now, oidc, id_token, &asked.nonce, asked.at);
    if matches!(checked, Err(ClaimsVerificationError::SignatureVerification(_))) {
        // Its keys may have changed since it was last asked.
        checked = check(&client(board, oidc, true).await?, oidc, id_token, &asked.nonce, asked.at);
    }
    checked.map_err(|e| OidcError::Untrue(openidconnect_text(&e)))?;
    let subject = claim(id_token, &oidc.claim);
    let book = board.people.book();
    let mut people = book.0.values().filter(|person| !person.ended);
    let person = people.find(|person| person.oidc.is_some() && person.oidc == subject).cloned();
    Ok((person.ok_or_else(|| OidcError::Unknown { claim: oidc.claim.clone() })?, asked.to))
}

fn check(
    client: &Client,
    oidc: &Oidc,
    id_token: &CoreIdToken,
    nonce: &Nonce,
    asked_at: i64,
) -> Result<(), ClaimsVerificationError> {
    let wanted = oidc.acr.clone();
    let verifier = client
        .id_token_verifier()
        .set_auth_context_verifier_fn(move |acr| {
            let given = acr.map(|acr| acr.as_str());
            let is_met = wanted.is_empty() || given.is_some_and(|given| wanted.iter().any(|one| one == given));
            if is_met { Ok(()) } else { Err(format!("acr {given:?} is none of {wanted:?}")) }
        })
        // Asked with max_age 0: it must say when, and its clock may differ a little from ours.
        .set_auth_time_verifier_fn(move |at| match at.map(|at| at.timestamp_millis()) {
            Some(at) if at >= asked_at - FRESH_MS => Ok(()),
            Some(_) => Err("auth_time is from before this log-in".into()),
            None => Err("auth_time is missing, though max_age was asked".into()),
        });
    id_token.claims(&verifier, nonce).map(drop)
}

/// A text claim of a token that has been checked.
fn claim(id_token: &CoreIdToken, name: &str) -> Option<String> {
    let text = id_token.to_string();
    let claims: serde_json::Value = serde_json::from_slice(&decode(text.split('.').nth(1)?)?).ok()?;
    Some(claims.get(name)?.as_str()?.to_owned())
}

async fn client(board: &Board, oidc: &Oidc, anew: bool) -> Result<Client, OidcError> {
    let failed = |what: String| provider_error(oidc, what);
    let now_ms = board.gateway.now_ms();
    let kept_ms = if anew { PROVIDER_AGAIN_MS } else { PROVIDER_KEPT_MS };
    let mut kept = board.doors.oidc.lock().await;
    let metadata = match kept.as_ref().filter(|(at, _)| (0..kept_ms).contains(&(now_ms - at))) {
        Some((_, metadata)) => metadata.clone(),
        None => {
            let tls = tls(oidc.ca.as_deref()).map_err(failed)?;
            let http = move |request: HttpRequest| fetch(tls.clone(), request);
            let issuer = IssuerUrl::new(oidc.issuer.clone()).map_err(|e| failed(e.to_string()))?;
            let metadata = CoreProviderMetadata::discover_async(issuer, &http).await;
            let metadata = metadata.map_err(|e| failed(openidconnect_text(&e)))?;
            *kept = Some((now_ms, metadata.clone()));
            metadata
        }
    };
    let secret = match &oidc.client_secret_file {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|e| failed(format!("reading {}: {e}", file.display())))?;
            Some(ClientSecret::new(text.trim().to_owned()))
        }
        None => None,
    };
    let back = RedirectUrl::new(format!("{}/login/oidc/return", origin(&board.settings)));
    let client = CoreClient::from_provider_metadata(metadata, ClientId::new(oidc.client_id.clone()), secret);
    Ok(client.set_redirect_uri(back.map_err(|e| failed(e.to_string()))?))
}

fn provider_error(oidc: &Oidc, what: String) -> OidcError {
    OidcError::Provider { issuer: oidc.issuer.clone(), what }
}

/// The error with what lies under it: the library's own text leaves that out.
fn openidconnect_text(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut under = e.source();
    while let Some(e) = under {
        text = format!("{text}: {e}");
        under = e.source();
    }
    text
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).take(40).collect()
}
