//! Every figure that `/metrics` may show: the one list. `deploy/METRICS.md` is made of it, and a test holds them together.

/// As Prometheus knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One name with its meaning. The unit is the end of the name.
#[derive(Debug)]
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// Why an event is refused.
pub const REFUSALS: [&str; 3] = ["disk", "share", "certificate"];

/// Upper bounds of a commit's time, in seconds: from a server's disk to an SD card that is about to fail.
pub const COMMIT_BOUNDS_S: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Upper bounds of the time to a rung, in seconds: 10 and 30 are what is promised of `accepted`, 180 until a person has claimed.
pub const RUNG_BOUNDS_S: &[f64] =
    &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0, 3_600.0, 86_400.0];

macro_rules! families {
    ($( $id:ident $kind:ident $name:literal [$($label:literal),*] $help:literal )+) => {
        $(
            #[doc = $help]
            pub const $id: Family =
                Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )+

        /// In the order in which they are documented.
        pub const ALL: &[&Family] = &[$(&$id),+];
    };
}

families! {
    BUILD Gauge "vaka_build_info" ["version", "role"] "Always 1; what runs here, and as what: home, house or hub."
    ANSWERS Gauge "vaka_journal_answers" [] "1: the journal's thread answered within 2 s. 0: it did not, and what it would have told is missing here."

    COMMIT_SECONDS Histogram "vaka_commit_seconds" [] "Time of one commit: one write and one fdatasync for all that waited, in seconds."
    COMMITS_FAILED Counter "vaka_commits_failed_total" [] "Commits that the disk refused. Nothing of them was acknowledged; the journal was opened anew."
    RECORDS Counter "vaka_records_total" [] "Records that are on the disk since the start."
    JOURNAL_BYTES Gauge "vaka_journal_bytes" [] "Size of the journal's segments."
    JOURNAL_BYTES_MAX Gauge "vaka_journal_max_bytes" [] "What it may grow to ([journal] size_max_mib); settled segments go before that."
    DISK_FREE Gauge "vaka_disk_free_bytes" [] "Room left on the journal's file system."
    LANE_REFUSED Gauge "vaka_lane_refused" ["lane"] "1: events of this lane are refused now, for want of room. Never life."
    REPLAYED Gauge "vaka_replayed_records" [] "Records that the last start had to read."

    EVENTS Counter "vaka_events_total" ["lane"] "Events stored since the start."
    EVENTS_REPEATED Counter "vaka_events_repeated_total" [] "Events that were stored already: an acknowledgement was lost on the way."
    EVENTS_QUARANTINED Counter "vaka_events_quarantined_total" [] "Payloads that nobody could read: kept, and a technical alarm."
    EVENTS_REFUSED Counter "vaka_events_refused_total" ["lane", "why"] "Events refused since the start: disk (no room), share (beyond the device's), certificate (ended, and no call for help)."
    INBOX Gauge "vaka_inbox_waiting" [] "Submissions that wait for the journal's thread."
    CONNECTIONS Gauge "vaka_connections" [] "Devices connected now."
    CONNECTIONS_MAX Gauge "vaka_connections_max" [] "Devices that may be connected at once."
    DOOR Counter "vaka_door_total" ["what"] "At the devices' door since the start: handshake, handshake_failed, certificate_ended, turned_away_full, turned_away_unknown."
    ENROLMENT Counter "vaka_enrolment_total" ["what"] "At the door for new devices since the start, by what came of it."

    ALARMS_OPEN Gauge "vaka_alarms_open" ["lane", "rung"] "Open alarms, by how far the whole of each has come."
    ALARM_OLDEST Gauge "vaka_alarm_unclaimed_oldest_seconds" ["lane"] "Age of the oldest open alarm that no person has claimed; 0: there is none."
    ALARMS_NOBODY Gauge "vaka_alarms_nobody" ["lane"] "Open alarms that nobody has accepted in time."
    LANE_WAITING Gauge "vaka_lane_waiting" ["lane"] "Notices of alarms that are still owed to a receiver."
    LANE_OLDEST Gauge "vaka_lane_oldest_seconds" ["lane"] "Age of the oldest of those; 0: nothing waits."
    RUNG_SECONDS Histogram "vaka_rung_seconds" ["lane", "rung"] "From an alarm's telling on the disk to this rung, in seconds of wall time; claimed and closed from when it was raised."
    PATH_UP Gauge "vaka_path_up" ["receiver", "path"] "1: this way to the receiver works, by its heartbeat."
    PATH_SINCE Gauge "vaka_path_since_seconds" ["receiver", "path"] "For how long it has been as it is."
    RECEIVER Counter "vaka_receiver_total" ["receiver", "path", "what"] "What happened on this way since the start: sent, received, accepted, refused, not_received and so on."
    TELEMETRY_WAITING Gauge "vaka_telemetry_waiting" ["receiver"] "Events that this receiver is to get by a route of telemetry and has not got."
    TELEMETRY_LOST Gauge "vaka_telemetry_lost" ["receiver"] "Events that it never will get: removed to make room before they were sent."

    DEVICES Gauge "vaka_devices" ["kind", "state"] "Listed devices: heard, silent (beyond its supervision, a technical alarm), never (not heard yet)."
    SILENT_LONGEST Gauge "vaka_devices_silent_longest_seconds" ["kind"] "How long the longest of the silent ones has not been heard; 0: none is silent."
    BATTERY_LOW Gauge "vaka_battery_low" ["kind"] "Devices that say that their battery is low."
    BATTERY_MIN Gauge "vaka_battery_min_percent" ["kind"] "The lowest charge that any of them has told."
    CERTIFICATE_LEFT Gauge "vaka_certificate_left_seconds" ["whose"] "Time until the first certificate ends: gateway (its own), or of devices by kind. Read once an hour."
    HOMES Gauge "vaka_homes" ["state"] "At a hub, homes that have told how they are: ok, faulty, away."

    UPDATE Gauge "vaka_update" ["state"] "1 for how updates stand: off (no [update]), unknown (not asked yet), current, waiting (for its ring, its time or a quiet moment), unreachable (publisher or disk), refused (not for this box, or not signed), failed (the program before it runs), trial."
    FIRMWARE Gauge "vaka_firmware_devices" ["state"] "Devices by how the newest attempt at their firmware stands: asked, fetching, restarting, trial, confirmed; failed, silent (came to nothing, and nobody has looked), looked (somebody has)."
    FIRMWARE_OLDEST Gauge "vaka_firmware_oldest_seconds" [] "For how long the device that is being updated has been at it; 0: none is."
    BACKUP_AGE Gauge "vaka_backup_age_seconds" [] "Age of the last whole backup; +Inf: recipients are named and none was ever made. Absent where none is agreed."
    CLOCK Gauge "vaka_clock_confidence" ["confidence"] "1 for how far the clock is trusted: synchronised (a time source vouches), held (plausible), floor (not believed)."
    TEMPERATURE Gauge "vaka_temperature_celsius" [] "The hottest of the machine's own sensors."
    PROCESS_MEMORY Gauge "process_resident_memory_bytes" [] "Memory of the process."
    PROCESS_CPU Counter "process_cpu_seconds_total" [] "Processor time that the process has used."
    PROCESS_FDS Gauge "process_open_fds" [] "Open files and connections."
    PROCESS_FDS_MAX Gauge "process_max_fds" [] "As many as there may be."
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use super::*;

    /// What a label may say: words of this program, or a receiver's or path's name. None can hold a person or a device.
    const LABELS: [&str; 12] =
        ["confidence", "kind", "lane", "path", "receiver", "role", "rung", "state", "version", "what", "whose", "why"];

    #[test]
    fn every_name_is_once_ends_in_its_unit_and_has_no_label_that_could_name_a_person() {
        let names: BTreeSet<&str> = ALL.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), ALL.len());
        for family in ALL {
            assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
            assert!(family.labels.iter().all(|label| LABELS.contains(label)), "{}", family.name);
            assert!(!family.help.contains('\n') && family.help.ends_with('.'), "{}", family.name);
        }
    }

    /// `VAKA_WRITE_DOCUMENTS=1` writes it anew.
    #[test]
    fn the_documented_list_is_this_list() {
        let mut table = String::from("| name | kind | labels | meaning |\n|---|---|---|---|\n");
        for family in ALL {
            let (kind, labels) = (family.kind.as_str(), family.labels.join(", "));
            writeln!(table, "| `{}` | {kind} | {labels} | {} |", family.name, family.help).unwrap();
        }
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/METRICS.md");
        let text = std::fs::read_to_string(file).unwrap();
        let at = text.find("| name |").expect("METRICS.md has the table");
        if std::env::var_os("VAKA_WRITE_DOCUMENTS").is_some() {
            std::fs::write(file, format!("{}{table}", &text[..at])).unwrap();
        } else {
            assert_eq!(&text[at..], table, "VAKA_WRITE_DOCUMENTS=1 cargo test -p vaka --lib families writes it anew");
        }
    }
}
