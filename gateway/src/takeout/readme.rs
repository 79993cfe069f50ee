//! The README of an export, in Swedish and English.

use super::Written;
use super::schema::{COMMON, KINDS, UNREADABLE};

/// Of `gateway`; `resident`: of this one alone.
pub fn text(gateway: &str, resident: Option<&str>, written: &Written) -> String {
    let of = resident.map_or_else(|| gateway.to_owned(), |resident| format!("{resident} ({gateway})"));
    let mut text = format!(
        "# {of}\n\n\
         **Svenska.** Allt som gatewayen har sparat, i öppna format. Mappen innehåller personuppgifter: förvara den därefter. Tider är UTC, \
         millisekunder sedan 1970 där inget annat står.\n\n\
         **English.** Everything that the gateway keeps, in open formats. The folder holds personal data: keep it accordingly. Times are UTC, \
         milliseconds since 1970 unless said otherwise.\n\n\
         | file | is |\n|---|---|\n\
         | `records/KIND.jsonl` | the journal: a JSON object on each line, one file for each kind of record; `record` is the order over all files |\n\
         | `schema/KIND.schema.json` | what such a line has: JSON Schema 2020-12 |\n\
         | `events.csv` | what devices sent, as a table (UTF-8, comma) |\n\
         | `alarms.jsonl`, `alarms.csv` | alarms that are open or were closed lately, with every step and what explains them ({} in all); older ones are in the records |\n\
         | `residents.jsonl` | who lives there, in clear ({} names), and what is agreed in words |\n\
         | `devices.jsonl` | what stands in the home |\n",
        written.alarms, written.names
    );
    if resident.is_none() {
        text.push_str(
            "| `vaka.toml` | the configuration; passwords and keys are in files of their own and not here |\n",
        );
    } else {
        text.push_str("\nOnly what is about this resident: of devices, alarms, doses, visits and looks of theirs. \
             What is about the gateway is left out.\n\nA device that has changed hands: each of its records goes to whose it was when the record was written, which the \
             key tells that it is sealed with. Where a record is not sealed, or the device was nobody's then, it goes to whose the device is now.\n");
    }
    if written.damaged > 0 {
        text.push_str(&format!(
            "\n**{} places in the journal could not be read and are missing here.**\n",
            written.damaged
        ));
    }
    text.push_str("\n## Kinds of record\n\nIn every line: ");
    let common: Vec<String> = COMMON.iter().map(|field| format!("`{}` ({})", field.name, field.says)).collect();
    text.push_str(&common.join("; "));
    text.push_str(".\n\n| kind | lines | says | keys |\n|---|---|---|---|\n");
    for kind in KINDS.iter().chain([&UNREADABLE]) {
        let keys: Vec<String> = kind.fields.iter().map(|field| format!("`{}` {}", field.name, field.says)).collect();
        let lines = written.records.get(kind.name).copied().unwrap_or_default();
        text.push_str(&format!("| {} | {lines} | {} | {} |\n", kind.name, kind.says, keys.join("; ")));
    }
    text
}
