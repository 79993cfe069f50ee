//! What a line of the export says, kind by kind: the table that README and the JSON Schemas are made of.
//!
//! Enters: nothing. Leaves: rows, and of each a schema (JSON Schema 2020-12). A test holds the table to every kind that the journal knows and to
//! what lines of each kind really have.

use serde_json::{Map, Value, json};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    Number,
    Text,
    Truth,
    Object,
    List,
    /// A word, or an object with one key and what belongs to it.
    Choice,
}

/// One key of a line.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub is: Is,
    /// In every line of the kind.
    pub always: bool,
    pub says: &'static str,
}

/// One kind of record.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The number in the journal.
    pub code: u8,
    pub name: &'static str,
    pub says: &'static str,
    pub fields: &'static [Field],
}

const fn has(name: &'static str, is: Is, says: &'static str) -> Field {
    Field { name, is, always: true, says }
}

const fn may(name: &'static str, is: Is, says: &'static str) -> Field {
    Field { name, is, always: false, says }
}

use Is::{Choice, List, Number, Object, Text, Truth};

/// In every line of every kind.
pub const COMMON: &[Field] = &[
    has("record", Number, "number in the journal; the order of the lines over all files"),
    has("kind", Text, "the file's name"),
    has("lane", Text, "life, care, technical, telemetry or test"),
    has("boot", Number, "which start of the gateway wrote it"),
    has("recorded_at", Number, "UTC milliseconds since 1970"),
];

const DEVICE: Field = has("device", Text, "id of the device");
const ALARM: Field = has("alarm", Text, "id of the alarm");
const BY: Field = has("by", Text, "who: a staff id");
const NOTE: Field = may("note", Text, "in the person's words");
const RESIDENT: Field = has("resident", Text, "whose: an id");

/// Every kind, in the order of their numbers.
pub const KINDS: &[Kind] = &[
    Kind {
        code: 1,
        name: "boot",
        says: "the gateway started",
        fields: &[
            has("version", Text, "of the program"),
            may("cut_bytes", Number, "of an unfinished record, cut off"),
            may("damaged", Number, "places in the journal that could not be read"),
        ],
    },
    Kind {
        code: 2,
        name: "event",
        says: "what a device sent",
        fields: &[
            DEVICE,
            has("enrolment", Number, "which certificate of the device"),
            has("restart", Number, "which boot of the device"),
            has("seq", Number, "which event of that boot"),
            may("assigned", Truth, "restart and seq are the gateway's"),
            may("certificate_ended", Truth, "the device's certificate had ended"),
            may("conflict", Truth, "the same number had come before with other contents"),
            may("via", Object, "bridge and topic, where it came over one"),
            may("payload", Choice, "as the bridge sent it"),
            may("at", Number, "when it happened by the device's clock, UTC milliseconds"),
            may("uptime_ms", Number, "how long the device had run"),
            may("of", Text, "at a hub: the home's device"),
            may("event", Object, "one key, the event's name, with its values"),
        ],
    },
    Kind {
        code: 3,
        name: "quarantine",
        says: "what a device sent and nobody could read",
        fields: &[
            DEVICE,
            has("topic", Text, "where it was sent"),
            has("reason", Text, "what is wrong with it"),
            has("bytes", Number, "its length"),
            has("payload", Text, "its beginning, as text"),
        ],
    },
    Kind {
        code: 4,
        name: "refusal",
        says: "events that were refused, because the disk or the device's share was used up",
        fields: &[DEVICE, has("reason", Text, "why"), has("count", Number, "how many")],
    },
    Kind {
        code: 5,
        name: "alive",
        says: "a device came or went",
        fields: &[DEVICE, has("online", Truth, "it is connected")],
    },
    Kind {
        code: 6,
        name: "decisions",
        says: "what the rules made of a record, and why",
        fields: &[
            has("cursor", Number, "the record that was judged"),
            has("decisions", List, "each an object with one key: raise, join, tell, say, note or send"),
        ],
    },
    Kind {
        code: 7,
        name: "rung",
        says: "an alarm came further: stored, sent, received, accepted, claimed, closed",
        fields: &[
            ALARM,
            has("notice", Number, "which telling of the alarm, from 0"),
            has("rung", Text, "how far"),
            has("receiver", Text, "name in vaka.toml; empty: the gateway itself"),
            has("path", Text, "how it went there"),
            may("detail", Text, "what the receiver said"),
            may("last", Truth, "the receiver can prove no more"),
        ],
    },
    Kind {
        code: 8,
        name: "act",
        says: "what a person did with an alarm",
        fields: &[
            ALARM,
            has("act", Text, "claim, close, hand_over, escalate or note"),
            BY,
            NOTE,
            may("tell", List, "hubs that were to hear of it"),
            may("told_up_to", Number, "at a hub: after which telling"),
            may("outcome", Text, "what it came to"),
            may("other", Text, "from or to whom"),
        ],
    },
    Kind {
        code: 9,
        name: "path",
        says: "the way to a receiver was lost or is back",
        fields: &[
            has("receiver", Text, "name in vaka.toml"),
            has("path", Text, "which way"),
            has("up", Truth, "it is there"),
            has("detail", Text, "why"),
        ],
    },
    Kind {
        code: 10,
        name: "checkpoint",
        says: "what was known when older records were removed; the state itself is not a record of anything that happened",
        fields: &[has("bytes", Number, "its length")],
    },
    Kind {
        code: 11,
        name: "fault",
        says: "something is wrong with the gateway, or with what a device does to it",
        fields: &[
            has("fault", Text, "a short name"),
            may("device", Text, "which causes it"),
            has("detail", Text, "in words"),
            has("active", Truth, "false: it is over"),
        ],
    },
    Kind {
        code: 12,
        name: "nobody",
        says: "nobody has accepted an alarm in time",
        fields: &[ALARM, has("notice", Number, "which telling of the alarm, from 0")],
    },
    Kind {
        code: 13,
        name: "silent",
        says: "a home was not heard for longer than agreed",
        fields: &[DEVICE, has("for_s", Number, "seconds")],
    },
    Kind {
        code: 20,
        name: "told",
        says: "a hub has heard what people here did",
        fields: &[has("receiver", Text, "the hub"), has("acts", List, "numbers of the acts' records")],
    },
    Kind {
        code: 21,
        name: "carried",
        says: "how far telemetry for a receiver has come",
        fields: &[
            has("receiver", Text, "name in vaka.toml"),
            has("stream", Number, "when it began, UTC seconds"),
            may("up_to", Number, "number of the record"),
            may("count", Number, "events since the last of these"),
            may("lost", Number, "events removed before they could be sent"),
            may("ended", Truth, "nothing goes there any more"),
        ],
    },
    Kind {
        code: 30,
        name: "release",
        says: "a person released a dose that was locked",
        fields: &[RESIDENT, has("slot", Text, "which dose of the day"), has("date", Text, "local date"), BY, NOTE],
    },
    Kind {
        code: 31,
        name: "signed",
        says: "a person signs for what they did",
        fields: &[RESIDENT, BY, NOTE, has("what", Object, "visit or dose, with what was planned")],
    },
    Kind {
        code: 32,
        name: "order",
        says: "a person has a device do something",
        fields: &[
            may("to", Text, "the device, or at a hub the home"),
            may("alarm", Text, "what it is about"),
            has("what", Choice, "what is ordered"),
            BY,
            has("role", Text, "as what"),
            may("purpose", Text, "why"),
            has("expires_at", Number, "UTC milliseconds"),
            may("from", Object, "the hub that it came from"),
            may("of", Object, "at a hub: what the home calls it"),
            may("command", Choice, "as it is sent"),
            may("refused", Text, "why it is not done"),
            may("look", Number, "in a home: the look by camera that it opened or says something of"),
        ],
    },
    Kind {
        code: 40,
        name: "visit",
        says: "a step of a technician's visit",
        fields: &[BY, has("step", Object, "one key: start, arm, measured, seen, hand_over or finish")],
    },
    Kind {
        code: 50,
        name: "trace",
        says: "who read or did what at the board",
        fields: &[
            has("person", Text, "a staff id"),
            has("role", Text, "as what"),
            has("session", Text, "which log-in"),
            has("act", Text, "what"),
            has("object", Text, "of what"),
            may("purpose", Text, "why"),
            may("resident", Text, "whose: an id"),
            has("at", Number, "UTC milliseconds"),
            has("before", Text, "SHA-256 of the trace before this one"),
            has("hash", Text, "SHA-256 of this one"),
        ],
    },
    Kind {
        code: 60,
        name: "look",
        says: "a look through a camera, or a check of one; no picture is kept",
        fields: &[
            RESIDENT,
            has("camera", Text, "id of the camera"),
            has("step", Object, "one key: asked, unveiled, ended, checked, accepted or outcome"),
        ],
    },
    Kind {
        code: 70,
        name: "update",
        says: "a step from one version of the program to another",
        fields: &[
            has("version", Text, "of the release"),
            has("step", Text, "staged, begun, proven or back"),
            BY,
            may("detail", Text, "why, or by whom"),
        ],
    },
    Kind {
        code: 71,
        name: "firmware",
        says: "a step of the firmware of a device, or a person's word on it",
        fields: &[
            has("step", Object, "one key: asked, fetched, restarts, silent, someone, wanted, stopped or resumed"),
            BY,
        ],
    },
    Kind {
        code: 90,
        name: "erased",
        says: "everything recorded of one resident up to then was made unreadable",
        fields: &[
            RESIDENT,
            has("devices", List, "ids of the devices that were ever theirs"),
            may("passed_on", List, "of those the ones that others have now"),
            has("keys", List, "numbers of the keys that were destroyed"),
            BY,
        ],
    },
    Kind {
        code: 91,
        name: "gone",
        says: "in the place of a record whose key is destroyed: it was of a resident who is erased, or the days agreed for it are over",
        fields: &[may("kept_days", Number, "how long it was kept; absent: it was of a resident who is erased")],
    },
    Kind {
        code: 92,
        name: "aged",
        says: "the days agreed for some records are over: from here on nobody can read them",
        fields: &[has(
            "periods",
            List,
            "each with class, days, from_ms and until_ms (when they were written) and the key's number",
        )],
    },
];

/// What a record of a kind that this program does not know, or that is damaged, is exported as.
pub const UNREADABLE: Kind = Kind {
    code: 0,
    name: "unreadable",
    says: "a record that this program cannot read; it stays in the journal",
    fields: &[has("error", Text, "why"), has("bytes", Number, "its length")],
};

impl Kind {
    /// Every key that a line of it can have.
    pub fn all_fields(&self) -> impl Iterator<Item = &Field> {
        COMMON.iter().chain(self.fields)
    }

    /// JSON Schema (2020-12) of its lines.
    pub fn schema(&self) -> Value {
        let mut properties = Map::new();
        for field in self.all_fields() {
            let mut about = match field.is {
                Number => json!({"type": "integer"}),
                Text if field.name == "lane" => json!({"type": ["string", "null"]}),
                Text => json!({"type": "string"}),
                Truth => json!({"type": "boolean"}),
                Object => json!({"type": "object"}),
                List => json!({"type": "array"}),
                Choice => json!({}),
            };
            about["description"] = field.says.into();
            if field.name == "kind" {
                about["const"] = self.name.into();
            }
            // An option that a record leaves open is null there.
            if !field.always && about.get("type").is_some_and(Value::is_string) {
                about["type"] = json!([about["type"], "null"]);
            }
            properties.insert(field.name.to_owned(), about);
        }
        let required: Vec<&str> = self.all_fields().filter(|field| field.always).map(|field| field.name).collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.says,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }
}

/// The kind of that name.
#[cfg(test)]
pub fn named(name: &str) -> Option<&'static Kind> {
    KINDS.iter().chain(std::iter::once(&UNREADABLE)).find(|kind| kind.name == name)
}
