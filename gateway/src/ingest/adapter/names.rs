//! What the name of a field says. Enters: a field's name. Leaves: its [`Capability`].
//!
//! Zigbee2MQTT's names are words joined by `_`, with endpoints mixed in (`water_leak_alarm_1`, `occupancy_2`, `state_l3`).
//! The order of the steps is what keeps this safe: exact names first, then settings, then hazards, then what to watch.
//! Source: the names of about 5,000 models in zigbee-herdsman-converters 26.112.0, judged one word at a time.

/// What a field is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    Action,
    Sos,
    Fall,
    Smoke,
    Gas,
    Co,
    Heat,
    Flood,
    /// True means closed.
    Contact,
    /// True means open.
    Open,
    Motion,
    Vibration,
    Tamper,
    LockState,
    /// `state`: a switch, a cover, a lock or a sensor.
    State,
    Temperature,
    Battery,
    BatteryLow,
    BatteryState,
    /// A seat or mat that weighs: `pressure` is hectopascal where it is a number.
    Pressure,
    /// `status` of a presence radar: standing, sitting, on the bed, falling.
    Posture,
    Test,
    /// A push button on something that is not a button.
    Pushed,
    /// Says that something is detected, or switches its detection on: as text the latter, as true only a person knows.
    Ambiguous,
    /// A detector of several dangers names the one it has found.
    Alert,
    /// Could be an alarm: at rest it says nothing, anything else goes to a person.
    Watch,
    /// A measurement or a setting.
    Ordinary,
    /// No table knows the name.
    Unlisted,
}

/// Names that mean one thing, whatever their words would say. Endpoints are already taken off.
const EXACT: &[(&str, Capability)] = &[
    ("action", Capability::Action),
    ("click", Capability::Action),
    ("contact", Capability::Contact),
    ("dry_contact", Capability::Contact),
    ("window", Capability::Open),
    ("window_open", Capability::Open),
    ("door_open", Capability::Open),
    ("open_window_detected", Capability::Ordinary),
    ("window_detection", Capability::Ordinary),
    ("open_window", Capability::Ordinary),
    ("neutral_presence", Capability::Ordinary),
    ("state", Capability::State),
    ("lock_state", Capability::LockState),
    ("hooks_state", Capability::LockState),
    ("child_lock", Capability::Ordinary),
    ("children_lock", Capability::Ordinary),
    ("temperature", Capability::Temperature),
    ("local_temperature", Capability::Temperature),
    ("current_temperature", Capability::Temperature),
    ("room_temperature", Capability::Temperature),
    ("indoor_temperature", Capability::Temperature),
    ("air_temperature", Capability::Temperature),
    ("battery", Capability::Battery),
    ("battery_percentage", Capability::Battery),
    ("battery_percent", Capability::Battery),
    ("smoke_battery", Capability::Battery),
    ("battery_low", Capability::BatteryLow),
    ("low_battery", Capability::BatteryLow),
    ("batt_low", Capability::BatteryLow),
    ("battery_alarm", Capability::BatteryLow),
    ("battery_state", Capability::BatteryState),
    ("battery_level", Capability::BatteryState),
    ("pressure", Capability::Pressure),
    ("pressure_state", Capability::Pressure),
    ("status", Capability::Posture),
    ("vibration", Capability::Vibration),
    ("test", Capability::Test),
    ("testing", Capability::Test),
    ("test_in_progress", Capability::Test),
    ("self_test", Capability::Test),
    ("selftest", Capability::Test),
    ("button_pushed", Capability::Pushed),
    ("button_pressed", Capability::Pushed),
    ("button", Capability::Pushed),
    ("fall_detection", Capability::Ambiguous),
    ("pir_detection", Capability::Motion),
    ("sensor_status", Capability::Motion),
    ("heat_alarm", Capability::Heat),
    ("heat_detected", Capability::Heat),
    ("water_flow", Capability::Ordinary),
    ("room", Capability::Ordinary),
    ("reliability", Capability::Watch),
    ("check_meter", Capability::Watch),
    ("self_test_result", Capability::Watch),
    ("test_alarm_result", Capability::Watch),
    ("halo_test_result", Capability::Watch),
    ("pre_alarm", Capability::Ambiguous),
    ("fall_back", Capability::Ordinary),
    ("heartbeat", Capability::Ordinary),
];

/// A name with one of these words sets or measures something, whatever else it says (`gas_sensitivity`, `smoke_density`).
const SETTING_WORDS: &str = "\
    action actions adaptation assignment auto automatic automation beeper behavior behaviour breaker brightness \
    broadcast buzzer calibration changed clear code color compensation concentration config control count counter \
    current day days delay density dismiss distance duration effect enable enabled enabling feedback force hold \
    hush indication indicator interval invert keepalive led level light limit linkage lower max maximum melody min \
    minimum mode mute muted name number offset ohm on option options orientation output overvalue percentage \
    period ppb ppm profile range rate recloser reconnect recovery relay reminder report reporting reports reset \
    ring ringtone scene schedule sensibility sensitivity set setpoint setting settings silence silenced siren \
    sound speed switch target tend threshold time timeout timer trend trigger trip type unit units upper \
    upperlimit user value valve version voltage volume weather";

/// Danger to life: words that must all be there, and what they mean. Longer names first.
const HAZARDS: &[(&[&str], Capability)] = &[
    (&["carbon", "monoxide"], Capability::Co),
    (&["co"], Capability::Co),
    (&["smoke"], Capability::Smoke),
    (&["gas"], Capability::Gas),
    (&["fire"], Capability::Heat),
    (&["flame"], Capability::Heat),
    (&["water", "leak"], Capability::Flood),
    (&["water", "leakage"], Capability::Flood),
    (&["leak"], Capability::Flood),
    (&["leakage"], Capability::Flood),
    (&["water"], Capability::Flood),
    (&["flood"], Capability::Flood),
    (&["flooding"], Capability::Flood),
    (&["fall", "down"], Capability::Fall),
    (&["fall"], Capability::Fall),
    (&["fallen"], Capability::Fall),
    (&["falling"], Capability::Fall),
    (&["sos"], Capability::Sos),
    (&["panic"], Capability::Sos),
    (&["emergency"], Capability::Sos),
    (&["help"], Capability::Sos),
    (&["nurse"], Capability::Sos),
];

/// Not danger by themselves.
const SENSORS: &[(&[&str], Capability)] = &[
    (&["garage", "door", "contact"], Capability::Contact),
    (&["contact"], Capability::Contact),
    (&["door"], Capability::Open),
    (&["window"], Capability::Open),
    (&["opening"], Capability::Open),
    (&["human", "motion"], Capability::Motion),
    (&["human", "presence"], Capability::Motion),
    (&["occupancy"], Capability::Motion),
    (&["presence"], Capability::Motion),
    (&["motion"], Capability::Motion),
    (&["movement"], Capability::Motion),
    (&["moving"], Capability::Motion),
    (&["pir"], Capability::Motion),
    (&["human"], Capability::Motion),
    (&["person"], Capability::Motion),
    (&["tamper"], Capability::Tamper),
];

/// Words that change nothing in a hazard's or a sensor's name.
const NEUTRAL_WORDS: &str = "\
    active alarm alarms alert and area both button call channel detect detected detection detector down event in \
    input is mmwave of or out region sensor state status triggered up wire zone zones";

/// A name with one of these words could be an alarm.
const WATCH_WORDS: &str = "\
    abnormal alarm alarmed alarms alert alerts burglar call danger defect distress error errors failure fault \
    faults intrusion overheat overload problem seizure trouble warn warning";

/// Ordinary things: lights, covers, heating, meters, displays. Their text values say nothing about a resident.
const ORDINARY_WORDS: &str = "\
    access adaptive address air algorithm angle anti antifreeze antifrost antiscaling aqi audio autowork available \
    away backlight basic beep blink boost border break bypass calibrate calibrated calibrating camera capabilities \
    charge charging choose clean cleaning click climate comfort command comparison complete connected connection \
    convert cooling countdown couple cover curtain cycle data date datetime demand device dim dimmer dimming \
    direction display disturb eco edge electricity emitter energy execute external factory fallback fan fastmode \
    feed firmware flip floor flow flush foam font forced frost fuel full function gear goto gradient group heater \
    heating holiday humidity hysteresis icon id identify illuminance illumination inching induction infrared init \
    input installation intensity interference interlock invert inverted ionization irrigation isolation judge key \
    language last lcd learning led leds link linkquality load lock lockout logic manual massage master measurement \
    meter metering method model motor move muffling multimaster network night noise notification nozzle order \
    outlet outlets override pairing parental parents park phase pilot pilotwire pin plan plug position power \
    preheat preheating prepayment preset pressure program programming protection pump query quiet radar radiator \
    radiators radio rain read recalibration reclosing record records refresh region regulator relaunch relay \
    relock remote resolution restart restore reversal reverse reversed rf rfid rgb role room rotate rotation \
    running sampling scale scaling scan scenes screen season seen select selection send server service shield show \
    size sleep slot smart smile smiley snoring soil source start static status strength stroke switching sync \
    system table tap temp temperature theme thermostat tilt touch transition travel trigger turbo update usb user \
    uv vacation velocity voice warm water weather week weekly white wifi wind window winter wireless work workday \
    working x y z";

/// True if `word` is one of the words of `table`, which a space separates.
pub(super) fn listed(table: &str, word: &str) -> bool {
    table.split_ascii_whitespace().any(|known| known == word)
}

/// What the field `name` is about. Case and endpoints do not matter.
pub fn capability(name: &str) -> Capability {
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let joined = words.join("_");
    if let Some((_, capability)) = EXACT.iter().find(|(exact, _)| *exact == joined) {
        return *capability;
    }
    if words.contains(&"battery") && words.contains(&"low") {
        return Capability::BatteryLow;
    }
    if words.contains(&"alert") && words.last() == Some(&"state") {
        return Capability::Alert;
    }
    // action_user, action_group …: what goes with an action, never the action itself.
    if words.first() == Some(&"action") || words.iter().any(|word| listed(SETTING_WORDS, word)) {
        return Capability::Ordinary;
    }
    for (needed, capability) in HAZARDS.iter().chain(SENSORS) {
        let rest = words.iter().filter(|word| !needed.contains(word));
        if needed.iter().all(|word| words.contains(word)) && rest.clone().all(|word| listed(NEUTRAL_WORDS, word)) {
            let switched = SENSORS.iter().any(|(_, sensor)| sensor == capability) && words.last() == Some(&"detection");
            return if switched { Capability::Ambiguous } else { *capability };
        }
    }
    let hazard = |word: &&str| {
        HAZARDS.iter().any(|(needed, _)| needed.contains(word) && !matches!(*word, "water" | "down" | "heat"))
    };
    if words.iter().any(|word| listed(WATCH_WORDS, word) || hazard(word)) {
        return Capability::Watch;
    }
    // state_plug, state_heater: a switch of something.
    if words.first() == Some(&"state") {
        return Capability::State;
    }
    if words.iter().any(|word| listed(ORDINARY_WORDS, word)) {
        return Capability::Ordinary;
    }
    Capability::Unlisted
}

/// The words of a name in lower case, without what only tells endpoints apart (`1`, `l2`, `left`, `zone3`'s number).
fn words(name: &str) -> Vec<String> {
    let lower = split_camel(name);
    let all = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut kept: Vec<String> = all.filter(|word| !is_endpoint(word)).map(without_number).collect();
    if kept.is_empty() {
        kept.push(lower);
    }
    // Two alarm bits of one sensor: `alarm_1` beside `smoke`, told apart by the endpoint alone.
    kept.dedup();
    kept
}

/// `outputMode` → `output_mode`; all in lower case.
fn split_camel(name: &str) -> String {
    let mut split = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && after_lower {
            split.push('_');
        }
        after_lower = c.is_lowercase();
        split.extend(c.to_lowercase());
    }
    split
}

/// `1`, `l1`, `s2`, `e1`, `th3`, `left` …
fn is_endpoint(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let letters = &word[..word.len() - digits.len()];
    let numbered = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && matches!(letters, "" | "l" | "s" | "e" | "th" | "ep" | "c");
    numbered || matches!(word, "left" | "right" | "center" | "centre" | "middle" | "top" | "bottom")
}

/// `sensor1` → `sensor`; short words keep their number, because `co2` is not `co`.
fn without_number(word: &str) -> String {
    let stem = word.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() > 3 { stem.to_string() } else { word.to_string() }
}
