//! Listeners: TLS, bounds on strangers, certificates that change while it runs.
