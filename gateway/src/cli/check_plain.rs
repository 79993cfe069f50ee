//! The doctor's findings in words for staff: what it means for the resident, and what to do. Enters: a part and its light.

use super::check::Light;
use crate::config::Language;
use crate::notice::say;

/// What staff reads of a part of the gateway. Parts that are not known here are a technician's.
pub fn part(part: &str, light: Light, language: Language) -> String {
    let (sv, en) = match (part, light) {
        (_, Light::Green) => well(part),
        ("config", Light::Yellow) => {
            ("Något i inställningarna bör ses över.", "Something in the settings should be looked at.")
        }
        ("config" | "home", _) => (
            "Inställningarna går inte att läsa. Inget larm går fram. Ring tekniker nu.",
            "The settings cannot be read. No alarm gets through. Call a technician now.",
        ),
        ("life alarms", Light::Yellow) => (
            "Bara en mottagare får larmen. En andra är tryggare.",
            "One receiver alone gets the alarms. A second is safer.",
        ),
        ("life alarms", _) => {
            ("Ingen får larmen härifrån. Ring tekniker nu.", "Nobody gets the alarms from here. Call a technician now.")
        }
        ("certificates", _) => (
            "Enheterna kan inte lita på gatewayen. Ring tekniker.",
            "The devices cannot trust the gateway. Call a technician.",
        ),
        ("keys", Light::Red) => {
            ("Gatewayens nycklar ligger öppet. Ring tekniker.", "The gateway's keys lie open. Call a technician.")
        }
        ("gateway", _) => (
            "Gatewayen är inte igång. Inget larm går fram. Dra ur kontakten, vänta en minut, sätt i den igen.",
            "The gateway is not running. No alarm gets through. Unplug it, wait a minute, plug it in again.",
        ),
        ("backup", _) => (
            "Det tas ingen säkerhetskopia. Larm går fram ändå. Ring tekniker i veckan.",
            "No backup is made. Alarms get through all the same. Call a technician this week.",
        ),
        ("journal", _) => (
            "En del av det sparade är skadat. Ring tekniker.",
            "A part of what was kept is damaged. Call a technician.",
        ),
        ("disk", Light::Yellow) => ("Det börjar bli ont om plats.", "Room is getting short."),
        ("disk", _) => ("Platsen är slut. Ring tekniker.", "There is no room left. Call a technician."),
        ("connections", Light::Yellow) => (
            "Något på nätet stör. Ring tekniker i veckan.",
            "Something on the network disturbs. Call a technician this week.",
        ),
        ("connections", _) => (
            "Fler enheter än gatewayen klarar. Ring tekniker.",
            "More devices than the gateway can serve. Call a technician.",
        ),
        ("paths", Light::Yellow) => (
            "En av förbindelserna är nere. Larm går fram ändå. Ring tekniker.",
            "One of the connections is down. Alarms get through all the same. Call a technician.",
        ),
        ("paths", _) => (
            "En larmmottagare nås inte. Ring 112 om det är bråttom, och ring tekniker.",
            "A receiver cannot be reached. Call 112 if it is urgent, and call a technician.",
        ),
        ("updates", _) => (
            "En uppdatering av gatewayen gick inte. Larm går fram ändå. Ring tekniker i veckan.",
            "An update of the gateway failed. Alarms get through all the same. Call a technician this week.",
        ),
        ("firmware", _) => (
            "En enhet kunde inte uppdateras. Prova att den larmar, och ring tekniker i veckan.",
            "A device could not be updated. See that its alarm works, and call a technician this week.",
        ),
        ("alarms", _) => (
            "Ett larm har inte kommit fram till någon. Gå till den boende.",
            "An alarm has reached nobody yet. Go to the resident.",
        ),
        ("clock", _) => ("Klockan går inte säkert rätt. Ring tekniker.", "The clock may be wrong. Call a technician."),
        (_, Light::Yellow) => ("Bör ses över av en tekniker.", "A technician should look at it."),
        (_, Light::Red) => ("Fungerar inte. Ring tekniker.", "Does not work. Call a technician."),
    };
    say(language, sv, en)
}

fn well(part: &str) -> (&'static str, &'static str) {
    match part {
        "config" => ("Inställningarna är i ordning.", "The settings are in order."),
        "life alarms" => ("Larm går till mer än en mottagare.", "Alarms go to more than one receiver."),
        "certificates" => ("Enheterna kan lita på gatewayen.", "The devices can trust the gateway."),
        "keys" => ("Gatewayens nycklar är skyddade.", "The gateway's keys are protected."),
        "backup" => ("Säkerhetskopian är ny.", "The backup is recent."),
        "gateway" => ("Gatewayen är igång.", "The gateway is running."),
        "journal" => ("Allt som sparats är helt.", "All that was kept is whole."),
        "disk" => ("Det finns plats.", "There is room."),
        "connections" => ("Enheterna får plats.", "The devices have room."),
        "paths" => ("Larmmottagarna svarar.", "The receivers answer."),
        "alarms" => ("Inget larm väntar på att komma fram.", "No alarm waits to get through."),
        "clock" => ("Klockan går rätt.", "The clock is right."),
        _ => ("Fungerar.", "Works."),
    }
}

/// The part's name, for staff.
pub fn name(part: &'static str, language: Language) -> String {
    let sv = match part {
        "config" | "home" => "Inställningar",
        "life alarms" => "Larm",
        "certificates" => "Certifikat",
        "keys" => "Nycklar",
        "gateway" => "Gateway",
        "journal" => "Journal",
        "disk" => "Plats",
        "connections" => "Enheter",
        "paths" => "Förbindelser",
        "alarms" => "Larm på väg",
        "clock" => "Klocka",
        other => other,
    };
    let en = match part {
        "home" | "config" => "Settings",
        "life alarms" => "Alarms",
        "certificates" => "Certificates",
        "keys" => "Keys",
        "gateway" => "Gateway",
        "journal" => "Journal",
        "disk" => "Room",
        "connections" => "Devices",
        "paths" => "Connections",
        "alarms" => "Alarms waiting",
        "clock" => "Clock",
        other => other,
    };
    say(language, sv, en)
}

/// The first line: is anything to be done?
pub fn summary(worst: Light, language: Language) -> String {
    let (sv, en) = match worst {
        Light::Green => ("Allt fungerar.", "Everything works."),
        Light::Yellow => ("Larmen fungerar. Något bör ses över.", "Alarms work. Something should be looked at."),
        Light::Red => {
            ("Något fungerar inte. Läs raderna märkta !!", "Something does not work. Read the lines marked !!")
        }
    };
    say(language, sv, en)
}
