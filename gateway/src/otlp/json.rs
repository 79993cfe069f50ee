//! Spans as an `ExportTraceServiceRequest` of OTLP in its JSON form: ids in hexadecimal, 64-bit numbers as text. Source: the public .proto
//! files of OpenTelemetry 1.x and its rules for JSON; judged in a test by the published Python classes of those files.

use serde_json::{Value, json};

use super::spans::Span;

/// Kind `internal`.
const INTERNAL: u8 = 1;

pub fn request(gateway: &str, version: &str, spans: &[Span]) -> String {
    let own = [("service.name", "vaka"), ("service.version", version), ("service.instance.id", gateway)];
    json!({"resourceSpans": [{
        "resource": {"attributes": own.map(|(key, text)| attribute(key, text))},
        "scopeSpans": [{
            "scope": {"name": "vaka", "version": version},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
    .to_string()
}

fn span(span: &Span) -> Value {
    let attributes: Vec<Value> = span.attributes.iter().map(|(key, text)| attribute(key, text)).collect();
    let event = |(at_ms, name): &(i64, &str)| json!({"timeUnixNano": nanoseconds(*at_ms), "name": name});
    let mut shown = json!({
        "traceId": hex(&span.trace),
        "spanId": hex(&span.id),
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": nanoseconds(span.start_ms),
        "endTimeUnixNano": nanoseconds(span.end_ms),
        "attributes": attributes,
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
    });
    if let Some(parent) = &span.parent {
        shown["parentSpanId"] = hex(parent).into();
    }
    shown
}

fn attribute(key: &str, text: &str) -> Value {
    json!({"key": key, "value": {"stringValue": text}})
}

/// A time before 1970 has no place there.
fn nanoseconds(ms: i64) -> String {
    (i128::from(ms.max(0)) * 1_000_000).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
