//! The messages and their bytes.

use vaka_protocol::*;

/// `(JSON, CBOR in hexadecimal)` of `events()`, in its order.
pub const EVENTS: &[(&str, &str)] = &[
    (
        r#"{"v":1,"restart":7,"seq":42,"uptime_ms":123456,"at":1795212345123,"event":{"button":{"press":"short"}}}"#,
        "a661760167726573746172740763736571182a69757074696d655f6d731a0001e2406261741b000001a1fafe7f23656576656e74a166627574746f6ea16570726573736573686f7274",
    ),
    (r#"{"v":1,"event":{"button":{"press":"long"}}}"#, "a2617601656576656e74a166627574746f6ea1657072657373646c6f6e67"),
    (r#"{"v":1,"event":{"cancel":{}}}"#, "a2617601656576656e74a16663616e63656ca0"),
    (
        r#"{"v":1,"event":{"fall":{"impact_mg":3200,"still_s":30}}}"#,
        "a2617601656576656e74a16466616c6ca269696d706163745f6d67190c80677374696c6c5f73181e",
    ),
    (r#"{"v":1,"event":{"fall":{}}}"#, "a2617601656576656e74a16466616c6ca0"),
    (r#"{"v":1,"event":{"seizure":{}}}"#, "a2617601656576656e74a1677365697a757265a0"),
    (r#"{"v":1,"event":{"smoke":{"active":true}}}"#, "a2617601656576656e74a165736d6f6b65a166616374697665f5"),
    (r#"{"v":1,"event":{"smoke":{"active":false}}}"#, "a2617601656576656e74a165736d6f6b65a166616374697665f4"),
    (r#"{"v":1,"event":{"gas":{"active":true}}}"#, "a2617601656576656e74a163676173a166616374697665f5"),
    (r#"{"v":1,"event":{"co":{"active":true}}}"#, "a2617601656576656e74a162636fa166616374697665f5"),
    (r#"{"v":1,"event":{"heat":{"active":true}}}"#, "a2617601656576656e74a16468656174a166616374697665f5"),
    (r#"{"v":1,"event":{"flood":{"active":true}}}"#, "a2617601656576656e74a165666c6f6f64a166616374697665f5"),
    (r#"{"v":1,"event":{"enuresis":{}}}"#, "a2617601656576656e74a168656e757265736973a0"),
    (r#"{"v":1,"event":{"bed":{"occupied":false}}}"#, "a2617601656576656e74a163626564a1686f63637570696564f4"),
    (r#"{"v":1,"event":{"chair":{"occupied":true}}}"#, "a2617601656576656e74a1656368616972a1686f63637570696564f5"),
    (r#"{"v":1,"event":{"mat":{"pressed":true}}}"#, "a2617601656576656e74a1636d6174a16770726573736564f5"),
    (r#"{"v":1,"event":{"door":{"open":true}}}"#, "a2617601656576656e74a164646f6f72a1646f70656ef5"),
    (r#"{"v":1,"event":{"motion":{}}}"#, "a2617601656576656e74a1666d6f74696f6ea0"),
    (
        r#"{"v":1,"event":{"position":{"lat_e7":593293235,"lon_e7":-180685808,"accuracy_m":12,"speed_cm_s":140,"fix_age_s":5}}}"#,
        "a2617601656576656e74a168706f736974696f6ea5666c61745f65371a235cefb3666c6f6e5f65373a0ac50bef6a61636375726163795f6d0c6a73706565645f636d5f73188c696669785f6167655f7305",
    ),
    (
        r#"{"v":1,"event":{"temperature":{"centi_c":-1250}}}"#,
        "a2617601656576656e74a16b74656d7065726174757265a16763656e74695f633904e1",
    ),
    (
        r#"{"v":1,"event":{"vital":{"kind":"heart_rate","value":"72.50","unit":"1/min"}}}"#,
        "a2617601656576656e74a165766974616ca3646b696e646a68656172745f726174656576616c75656537322e353064756e697465312f6d696e",
    ),
    (
        r#"{"v":1,"event":{"dose":{"slot":"morning","outcome":"taken"}}}"#,
        "a2617601656576656e74a164646f7365a264736c6f74676d6f726e696e67676f7574636f6d656574616b656e",
    ),
    (
        r#"{"v":1,"event":{"dose":{"slot":"kväll","outcome":"missed"}}}"#,
        "a2617601656576656e74a164646f7365a264736c6f74666b76c3a46c6c676f7574636f6d65666d6973736564",
    ),
    (r#"{"v":1,"event":{"stock":{"days_left":3}}}"#, "a2617601656576656e74a16573746f636ba169646179735f6c65667403"),
    (
        r#"{"v":1,"event":{"lock":{"locked":false,"by":"tag-7"}}}"#,
        "a2617601656576656e74a1646c6f636ba2666c6f636b6564f4626279657461672d37",
    ),
    (r#"{"v":1,"event":{"cabinet":{"open":true}}}"#, "a2617601656576656e74a167636162696e6574a1646f70656ef5"),
    (r#"{"v":1,"event":{"staff":{"tag":"04a2"}}}"#, "a2617601656576656e74a1657374616666a1637461676430346132"),
    (r#"{"v":1,"event":{"privacy":{"on":true}}}"#, "a2617601656576656e74a16770726976616379a1626f6ef5"),
    (r#"{"v":1,"event":{"decline":{"slot":"02"}}}"#, "a2617601656576656e74a1676465636c696e65a164736c6f74623032"),
    (
        r#"{"v":1,"event":{"battery":{"percent":9,"low":true}}}"#,
        "a2617601656576656e74a16762617474657279a26770657263656e7409636c6f77f5",
    ),
    (r#"{"v":1,"event":{"mains":{"on":false}}}"#, "a2617601656576656e74a1656d61696e73a1626f6ef4"),
    (r#"{"v":1,"event":{"tamper":{}}}"#, "a2617601656576656e74a16674616d706572a0"),
    (r#"{"v":1,"event":{"lost":{"count":5}}}"#, "a2617601656576656e74a1646c6f7374a165636f756e7405"),
    (r#"{"v":1,"event":{"alive":{}}}"#, "a2617601656576656e74a165616c697665a0"),
    (
        r#"{"v":1,"event":{"done":{"id":17,"outcome":"refused"}}}"#,
        "a2617601656576656e74a164646f6e65a262696411676f7574636f6d656772656675736564",
    ),
    (r#"{"v":1,"event":{"test":{}}}"#, "a2617601656576656e74a16474657374a0"),
    (
        r#"{"v":1,"event":{"alarm":{"alarm":"k3f9x2","lane":"life","rung":"accepted","device":"p1","resident":"r1","room":"kök","cause":"button","happened_at":1795212345123,"delayed":true,"count":2,"dty":3,"stc":10,"text":"Larmknapp"}}}"#,
        "a2617601656576656e74a165616c61726dad65616c61726d666b3366397832646c616e65646c6966656472756e6768616363657074656466646576696365627031687265736964656e7462723164726f6f6d646bc3b66b65636175736566627574746f6e6b68617070656e65645f61741b000001a1fafe7f236764656c61796564f565636f756e74026364747903637374630a6474657874694c61726d6b6e617070",
    ),
    (
        r#"{"v":1,"event":{"task":{"task":"t1","lane":"care","what":"visit","resident":"r1","due_at":1795212345123,"open":true,"text":"Kameran är mörk"}}}"#,
        "a2617601656576656e74a1647461736ba7647461736b627431646c616e6564636172656477686174657669736974687265736964656e74627231666475655f61741b000001a1fafe7f23646f70656ef56474657874714b616d6572616e20c3a472206dc3b6726b",
    ),
    (
        r#"{"v":1,"event":{"health":{"lane":"technical","ok":false,"faults":1,"text":"Batteri"}}}"#,
        "a2617601656576656e74a1666865616c7468a4646c616e6569746563686e6963616c626f6bf4666661756c74730164746578746742617474657269",
    ),
    (
        r#"{"v":1,"event":{"round":{"lane":"telemetry","slot":"02","resident":"r1","due_at":1795212345123,"done":true,"text":""}}}"#,
        "a2617601656576656e74a165726f756e64a6646c616e656974656c656d6574727964736c6f74623032687265736964656e74627231666475655f61741b000001a1fafe7f2364646f6e65f5647465787460",
    ),
    (r#"{"v":1,"event":{"choking":{}}}"#, "a2617601656576656e74a16763686f6b696e67a0"),
    (
        r#"{"v":1,"restart":0,"seq":43,"at":1795212345123,"event":{"alarm":{"alarm":"k3f9x2","lane":"life","rung":"closed","cause":"button","happened_at":1795212345123,"delayed":false,"count":1,"text":"","number":2,"by":"anna"}}}"#,
        "a561760167726573746172740063736571182b6261741b000001a1fafe7f23656576656e74a165616c61726daa65616c61726d666b3366397832646c616e65646c6966656472756e6766636c6f73656465636175736566627574746f6e6b68617070656e65645f61741b000001a1fafe7f236764656c61796564f465636f756e7401647465787460666e756d6265720262627964616e6e61",
    ),
    (
        r#"{"v":1,"restart":1795212000,"seq":11008,"at":1795212345123,"of":"p1","event":{"bed":{"occupied":false}}}"#,
        "a661760167726573746172741a6b00c2e063736571192b006261741b000001a1fafe7f23626f66627031656576656e74a163626564a1686f63637570696564f4",
    ),
    (
        r#"{"v":1,"event":{"fault":{"part":"motor","active":true}}}"#,
        "a2617601656576656e74a1656661756c74a26470617274656d6f746f7266616374697665f5",
    ),
    (
        r#"{"v":1,"event":{"started":{"cause":"rolled-back","version":"1.4.0"}}}"#,
        "a2617601656576656e74a16773746172746564a26563617573656b726f6c6c65642d6261636b6776657273696f6e65312e342e30",
    ),
    (r#"{"v":1,"event":{"signal":{"rssi_dbm":-71}}}"#, "a2617601656576656e74a1667369676e616ca168727373695f64626d3846"),
    (
        r#"{"v":1,"event":{"round":{"lane":"telemetry","slot":"02:00","resident":"r1","due_at":1795212345123,"done":false,"text":"","from_at":1795212000000,"state":"open","look_s":30,"may_see_clearly":true}}}"#,
        "a2617601656576656e74a165726f756e64aa646c616e656974656c656d6574727964736c6f746530323a3030687265736964656e74627231666475655f61741b000001a1fafe7f2364646f6e65f46474657874606766726f6d5f61741b000001a1faf93b00657374617465646f70656e666c6f6f6b5f73181e6f6d61795f7365655f636c6561726c79f5",
    ),
    (
        r#"{"v":1,"event":{"round":{"lane":"telemetry","slot":"","resident":"r1","due_at":1795212345123,"done":false,"text":"","state":"open","look_s":30,"alarm":"k3f9x2"}}}"#,
        "a2617601656576656e74a165726f756e64a9646c616e656974656c656d6574727964736c6f7460687265736964656e74627231666475655f61741b000001a1fafe7f2364646f6e65f4647465787460657374617465646f70656e666c6f6f6b5f73181e65616c61726d666b3366397832",
    ),
];

/// `(JSON, CBOR in hexadecimal)` of `commands()`, in its order.
pub const COMMANDS: &[(&str, &str)] = &[
    (
        r#"{"v":1,"id":17,"expires_at":1795212405123,"command":{"receipt":{"restart":7,"seq":42,"alarm":"k3f9x2","rung":"accepted"}}}"#,
        "a4617601626964116a657870697265735f61741b000001a1faff698367636f6d6d616e64a16772656365697074a467726573746172740763736571182a65616c61726d666b33663978326472756e67686163636570746564",
    ),
    (
        r#"{"v":1,"id":18,"expires_at":1795212405123,"command":{"feedback":{"light":"steady","sound":"chime","text":"Larmet är mottaget"}}}"#,
        "a4617601626964126a657870697265735f61741b000001a1faff698367636f6d6d616e64a168666565646261636ba3656c696768746673746561647965736f756e64656368696d656474657874734c61726d657420c3a472206d6f747461676574",
    ),
    (
        r#"{"v":1,"id":19,"expires_at":1795212405123,"command":{"schedule":{"slots":[{"slot":"morning","opens_at":1795212400000,"closes_at":1795216000000},{"slot":"noon","opens_at":1795230400000,"closes_at":1795234000000}]}}}"#,
        "a4617601626964136a657870697265735f61741b000001a1faff698367636f6d6d616e64a1687363686564756c65a165736c6f747382a364736c6f74676d6f726e696e67686f70656e735f61741b000001a1faff558069636c6f7365735f61741b000001a1fb364400a364736c6f74646e6f6f6e686f70656e735f61741b000001a1fc11fe0069636c6f7365735f61741b000001a1fc48ec80",
    ),
    (
        r#"{"v":1,"id":20,"expires_at":1795212405123,"command":{"reminder":{"text":"Dags för medicin"}}}"#,
        "a4617601626964146a657870697265735f61741b000001a1faff698367636f6d6d616e64a16872656d696e646572a1647465787471446167732066c3b672206d65646963696e",
    ),
    (
        r#"{"v":1,"id":21,"expires_at":1795212405123,"command":{"locate":{}}}"#,
        "a4617601626964156a657870697265735f61741b000001a1faff698367636f6d6d616e64a1666c6f63617465a0",
    ),
    (
        r#"{"v":1,"id":22,"expires_at":1795212405123,"command":{"lock":{"open":true,"until":1795212405123,"by":"s7"}}}"#,
        "a4617601626964166a657870697265735f61741b000001a1faff698367636f6d6d616e64a1646c6f636ba3646f70656ef565756e74696c1b000001a1faff6983626279627337",
    ),
    (
        r#"{"v":1,"id":23,"expires_at":1795212405123,"command":{"shutter":{"open":false}}}"#,
        "a4617601626964176a657870697265735f61741b000001a1faff698367636f6d6d616e64a16773687574746572a1646f70656ef4",
    ),
    (
        r#"{"v":1,"id":24,"expires_at":1795212405123,"command":{"settings":{"heartbeat_interval_s":300,"volume_percent":80,"language":"sv"}}}"#,
        "a461760162696418186a657870697265735f61741b000001a1faff698367636f6d6d616e64a16873657474696e6773a3746865617274626561745f696e74657276616c5f7319012c6e766f6c756d655f70657263656e741850686c616e6775616765627376",
    ),
    (
        r#"{"v":1,"id":25,"expires_at":1795212405123,"command":{"update":{"version":"1.2.3","url":"https://gw/firmware/p1-1.2.3.bin","size_bytes":262144,"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}}}"#,
        "a461760162696418196a657870697265735f61741b000001a1faff698367636f6d6d616e64a166757064617465a46776657273696f6e65312e322e336375726c782068747470733a2f2f67772f6669726d776172652f70312d312e322e332e62696e6a73697a655f62797465731a0004000066736861323536784039663836643038313838346337643635396132666561613063353561643031356133626634663162326230623832326364313564366331356230663030613038",
    ),
    (
        r#"{"v":1,"id":26,"expires_at":1795212405123,"command":{"dance":{}}}"#,
        "a4617601626964181a6a657870697265735f61741b000001a1faff698367636f6d6d616e64a16564616e6365a0",
    ),
    (
        r#"{"v":1,"id":27,"expires_at":1795212405123,"command":{"order":{"alarm":"k3f9x2","by":"anna","role":"night","purpose":"Hon ligger på golvet","what":{"unlock":{"open_s":120}}}}}"#,
        "a4617601626964181b6a657870697265735f61741b000001a1faff698367636f6d6d616e64a1656f72646572a565616c61726d666b336639783262627964616e6e6164726f6c65656e6967687467707572706f736575486f6e206c69676765722070c3a520676f6c7665746477686174a166756e6c6f636ba1666f70656e5f731878",
    ),
    (
        r#"{"v":1,"id":28,"expires_at":1795212405123,"command":{"order":{"device":"p1","by":"anna","role":"night","purpose":"","what":{"feedback":{"sound":"chime","text":"Vi kommer"}}}}}"#,
        "a4617601626964181c6a657870697265735f61741b000001a1faff698367636f6d6d616e64a1656f72646572a56664657669636562703162627964616e6e6164726f6c65656e6967687467707572706f7365606477686174a168666565646261636ba265736f756e64656368696d656474657874695669206b6f6d6d6572",
    ),
    (
        r#"{"v":1,"id":29,"expires_at":1795212405123,"command":{"schedule":{"slots":[{"slot":"morning","opens_at":1795219600000,"closes_at":1795223200000,"releases":1795212400000}]}}}"#,
        "a4617601626964181d6a657870697265735f61741b000001a1faff698367636f6d6d616e64a1687363686564756c65a165736c6f747381a464736c6f74676d6f726e696e67686f70656e735f61741b000001a1fb6d328069636c6f7365735f61741b000001a1fba421006872656c65617365731b000001a1faff5580",
    ),
    (
        r#"{"v":1,"id":30,"expires_at":1795212405123,"command":{"order":{"by":"anna","role":"night","purpose":"Avtalad tillsyn","what":{"look":{"resident":"r1","at":1795212000000,"clear":true,"call":"00112233445566778899aabbccddeeff"}}}}}"#,
        "a4617601626964181e6a657870697265735f61741b000001a1faff698367636f6d6d616e64a1656f72646572a462627964616e6e6164726f6c65656e6967687467707572706f73656f417674616c61642074696c6c73796e6477686174a1646c6f6f6ba4687265736964656e746272316261741b000001a1faf93b0065636c656172f56463616c6c78203030313132323333343435353636373738383939616162626363646465656666",
    ),
    (
        r#"{"v":1,"id":31,"expires_at":1795212405123,"command":{"order":{"by":"anna","role":"night","purpose":"","what":{"looked":{"id":17,"outcome":"could-not-tell"}}}}}"#,
        "a4617601626964181f6a657870697265735f61741b000001a1faff698367636f6d6d616e64a1656f72646572a462627964616e6e6164726f6c65656e6967687467707572706f7365606477686174a1666c6f6f6b6564a262696411676f7574636f6d656e636f756c642d6e6f742d74656c6c",
    ),
];

fn device() -> DeviceId {
    DeviceId::try_from("p1").expect("a valid id")
}

fn alarm() -> AlarmId {
    AlarmId::try_from("k3f9x2").expect("a valid id")
}

/// The first with all that a message has, the others with what most devices send.
pub fn events() -> Vec<EventMessage> {
    let full = EventMessage {
        v: 1,
        restart: Some(7),
        seq: Some(42),
        uptime_ms: Some(123_456),
        at: Some(1_795_212_345_123),
        of: None,
        event: Event::Button { press: Press::Short },
    };
    let others = [
        Event::Button { press: Press::Long },
        Event::Cancel {},
        Event::Fall { impact_mg: Some(3_200), still_s: Some(30) },
        Event::Fall { impact_mg: None, still_s: None },
        Event::Seizure {},
        Event::Smoke { active: true },
        Event::Smoke { active: false },
        Event::Gas { active: true },
        Event::Co { active: true },
        Event::Heat { active: true },
        Event::Flood { active: true },
        Event::Enuresis {},
        Event::Bed { occupied: false },
        Event::Chair { occupied: true },
        Event::Mat { pressed: true },
        Event::Door { open: true },
        Event::Motion {},
        Event::Position {
            lat_e7: 593_293_235,
            lon_e7: -180_685_808,
            accuracy_m: Some(12),
            speed_cm_s: Some(140),
            fix_age_s: Some(5),
        },
        Event::Temperature { centi_c: -1_250 },
        Event::Vital {
            kind: "heart_rate".into(),
            value: heapless::String::try_from("72.50").expect("it fits"),
            unit: "1/min".into(),
        },
        Event::Dose { slot: "morning".into(), outcome: DoseOutcome::Taken },
        Event::Dose { slot: "kväll".into(), outcome: DoseOutcome::Missed },
        Event::Stock { days_left: 3 },
        Event::Lock { locked: false, by: Some("tag-7".into()) },
        Event::Cabinet { open: true, by: None },
        Event::Staff { tag: "04a2".into() },
        Event::Privacy { on: true },
        Event::Decline { slot: "02".into() },
        Event::Battery { percent: Some(9), low: true },
        Event::Mains { on: false },
        Event::Tamper {},
        Event::Lost { count: 5 },
        Event::Alive {},
        Event::Done { id: 17, outcome: Outcome::Refused },
        Event::Test {},
        Event::Alarm {
            alarm: alarm(),
            lane: Lane::Life,
            rung: Rung::Accepted,
            device: Some(device()),
            resident: Some("r1".into()),
            room: Some("kök".into()),
            cause: "button".into(),
            happened_at: Some(1_795_212_345_123),
            delayed: true,
            count: 2,
            dty: Some(3),
            stc: Some(10),
            text: "Larmknapp".into(),
            number: 0,
            what: Telling::Raise,
            controller_id: None,
            caller: None,
            by: None,
        },
        Event::Task {
            task: "t1".into(),
            lane: Lane::Care,
            what: "visit".into(),
            resident: Some("r1".into()),
            due_at: Some(1_795_212_345_123),
            open: true,
            text: "Kameran är mörk".into(),
        },
        Event::Health { lane: Lane::Technical, ok: false, faults: 1, text: "Batteri".into() },
        Event::Round {
            lane: Lane::Telemetry,
            slot: "02".into(),
            resident: Some("r1".into()),
            due_at: Some(1_795_212_345_123),
            done: true,
            text: "".into(),
            from_at: None,
            state: None,
            look_s: None,
            may_see_clearly: false,
            alarm: None,
        },
        Event::Unknown { name: "choking".into() },
    ];
    // Later fields, each in a message of its own: the lines before them stay.
    let closed_at_home = EventMessage {
        restart: Some(0),
        seq: Some(43),
        at: Some(1_795_212_345_123),
        ..EventMessage::new(Event::Alarm {
            alarm: alarm(),
            lane: Lane::Life,
            rung: Rung::Closed,
            device: None,
            resident: None,
            room: None,
            cause: "button".into(),
            happened_at: Some(1_795_212_345_123),
            delayed: false,
            count: 1,
            dty: None,
            stc: None,
            text: "".into(),
            number: 2,
            what: Telling::Raise,
            controller_id: None,
            caller: None,
            by: Some("anna".into()),
        })
    };
    let of_a_device = EventMessage {
        restart: Some(1_795_212_000),
        seq: Some(11_008),
        at: Some(1_795_212_345_123),
        of: Some(device()),
        ..EventMessage::new(Event::Bed { occupied: false })
    };
    let all = std::iter::once(full).chain(others.map(EventMessage::new));
    let later = [
        Event::Fault { part: "motor".into(), active: true },
        Event::Started { cause: StartCause::RolledBack, version: "1.4.0".into() },
        Event::Signal { rssi_dbm: -71 },
        Event::Round {
            lane: Lane::Telemetry,
            slot: "02:00".into(),
            resident: Some("r1".into()),
            due_at: Some(1_795_212_345_123),
            done: false,
            text: "".into(),
            from_at: Some(1_795_212_000_000),
            state: Some("open".into()),
            look_s: Some(30),
            may_see_clearly: true,
            alarm: None,
        },
        Event::Round {
            lane: Lane::Telemetry,
            slot: "".into(),
            resident: Some("r1".into()),
            due_at: Some(1_795_212_345_123),
            done: false,
            text: "".into(),
            from_at: None,
            state: Some("open".into()),
            look_s: Some(30),
            may_see_clearly: false,
            alarm: Some(alarm()),
        },
    ];
    all.chain([closed_at_home, of_a_device]).chain(later.map(EventMessage::new)).collect()
}

/// One of each command.
pub fn commands() -> Vec<CommandMessage> {
    let slot =
        |slot: &str, opens_at| Slot { slot: slot.into(), opens_at, closes_at: opens_at + 3_600_000, releases: None };
    [
        Command::Receipt { restart: 7, seq: 42, alarm: alarm(), rung: Rung::Accepted, last: false },
        Command::Feedback {
            light: Some(Light::Steady),
            sound: Some(Sound::Chime),
            text: Some("Larmet är mottaget".into()),
        },
        Command::Schedule {
            slots: heapless::Vec::from_slice(&[slot("morning", 1_795_212_400_000), slot("noon", 1_795_230_400_000)])
                .expect("two slots fit"),
        },
        Command::Reminder { text: "Dags för medicin".into() },
        Command::Locate {},
        Command::Lock { open: true, until: Some(1_795_212_405_123), by: "s7".into() },
        Command::Shutter { open: false },
        Command::Settings {
            heartbeat_interval_s: Some(300),
            position_interval_s: None,
            volume_percent: Some(80),
            language: Some("sv".into()),
        },
        Command::Update {
            version: "1.2.3".into(),
            url: heapless::String::try_from("https://gw/firmware/p1-1.2.3.bin").expect("it fits"),
            size_bytes: 262_144,
            sha256: heapless::String::try_from("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
                .expect("it fits"),
        },
        Command::Unknown { name: "dance".into() },
        Command::Order {
            alarm: Some(alarm()),
            device: None,
            by: "anna".into(),
            role: "night".into(),
            purpose: "Hon ligger på golvet".into(),
            what: Ordered::Unlock { open_s: Some(120) },
        },
        Command::Order {
            alarm: None,
            device: Some(device()),
            by: "anna".into(),
            role: "night".into(),
            purpose: "".into(),
            what: Ordered::Feedback { light: None, sound: Some(Sound::Chime), text: Some("Vi kommer".into()) },
        },
        Command::Schedule {
            slots: heapless::Vec::from_slice(&[Slot {
                releases: Some(1_795_212_400_000),
                ..slot("morning", 1_795_219_600_000)
            }])
            .expect("a slot fits"),
        },
        Command::Order {
            alarm: None,
            device: None,
            by: "anna".into(),
            role: "night".into(),
            purpose: "Avtalad tillsyn".into(),
            what: Ordered::Look {
                resident: "r1".into(),
                at: 1_795_212_000_000,
                clear: true,
                call: "00112233445566778899aabbccddeeff".into(),
            },
        },
        Command::Order {
            alarm: None,
            device: None,
            by: "anna".into(),
            role: "night".into(),
            purpose: "".into(),
            what: Ordered::Looked { id: 17, outcome: "could-not-tell".into() },
        },
    ]
    .into_iter()
    .zip(17..)
    .map(|(command, id)| CommandMessage::new(id, 1_795_212_405_123, command))
    .collect()
}
