//! One MQTT connection's protocol state, the same for 3.1.1 and 5.
//!
//! Enters: bytes from the peer, and what the session decides to answer. Leaves: [`Incoming`] for the session and bytes to write.
//! No I/O and no clock. Never acknowledges a publish by itself: that is the session's, after the commit.

use std::collections::VecDeque;

use mqtt_protocol_core::mqtt;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::ConnectionOptions;
use mqtt_protocol_core::mqtt::packet::{Packet, Property, Qos, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::prelude::*;
use mqtt_protocol_core::mqtt::result_code::PubcompReasonCode;
use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, ConnectReturnCode, DisconnectReasonCode, MqttError, PubackReasonCode, PubrecReasonCode,
    SubackReasonCode, SubackReturnCode, UnsubackReasonCode,
};

use crate::limits;

/// What the peer sent, stripped of its version.
#[derive(Debug)]
pub enum Incoming {
    Connect(Connect),
    Publish(Publish),
    /// The peer has a command of ours: its packet id.
    Acknowledged(u16),
    /// Second half of a QoS 2 publish.
    Release(u16),
    Subscribe {
        id: u16,
        filters: Vec<(String, u8)>,
    },
    Unsubscribe {
        id: u16,
        filters: Vec<String>,
    },
    Ping,
    /// A clean goodbye; `with_will` when the peer asks for its Will all the same.
    Disconnect {
        with_will: bool,
    },
    /// The keep-alive timer is to be set anew, in milliseconds; 0 switches it off.
    KeepAlive(u64),
    /// The peer broke the protocol: what it did. The connection ends after what is to be written.
    Broken(String),
}

#[derive(Debug)]
pub struct Connect {
    pub client_id: String,
    pub clean: bool,
    pub keep_alive_s: u16,
    /// Version 5: how long the session outlives the connection, in seconds. 3.1.1: for ever unless clean.
    pub session_expiry_s: u32,
    pub will: Option<Will>,
}

#[derive(Debug, Clone)]
pub struct Will {
    pub topic: String,
    pub payload: Vec<u8>,
}

#[derive(Debug)]
pub struct Publish {
    pub qos: u8,
    /// Absent at QoS 0.
    pub id: Option<u16>,
    pub topic: String,
    pub payload: Vec<u8>,
}

/// Why a connection is refused, or a publish: the reason codes of MQTT 5; 3.1.1 has fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectRefusal {
    NotAuthorized,
    ClientIdNotValid,
    ServerBusy,
}

/// The answer to a QoS 1 or 2 publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishReason {
    Success,
    /// 0x87: another device's topic.
    NotAuthorized,
    /// 0x97: this lane's share of the disk is used up.
    QuotaExceeded,
    /// 0x99: kept in quarantine.
    PayloadFormatInvalid,
}

/// Why the gateway ends a connection (MQTT 5 tells the peer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    KeepAliveTimeout,
    TakenOver,
    NotAuthorized,
    PacketTooLarge,
    ShuttingDown,
    ImplementationError,
}

pub struct Wire {
    connection: mqtt::Connection<mqtt::role::Server>,
    version5: bool,
    incoming: VecDeque<Incoming>,
    out: Vec<u8>,
    closing: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

impl Wire {
    pub fn new() -> Self {
        let options = ConnectionOptions::new().maximum_packet_size_recv(limits::PACKET_BYTES_MAX_V311);
        let mut connection = mqtt::Connection::with_options(mqtt::Version::Undetermined, options);
        connection.set_auto_pub_response(false);
        connection.set_auto_ping_response(false);
        Self { connection, version5: false, incoming: VecDeque::new(), out: Vec::new(), closing: false }
    }

    pub fn is_version5(&self) -> bool {
        self.version5
    }

    /// Takes at most one packet off `bytes`, returning how many bytes were used. Call until all are.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        let mut cursor = Cursor::new(bytes);
        let events = self.connection.recv(&mut cursor);
        // The library would answer a repeated QoS 2 publish by itself, before any commit: the session answers all of them.
        self.connection.restore_qos2_publish_handled(Default::default());
        let used = cursor.position() as usize;
        self.take(events);
        used
    }

    /// The next thing the peer sent.
    pub fn take_incoming(&mut self) -> Option<Incoming> {
        self.incoming.pop_front()
    }

    /// Bytes to be written to the peer; empty when there are none.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The connection is to be closed once the output is written.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    pub fn accept(&mut self, connect: &Connect, assigned_id: Option<&str>, session_present: bool) {
        if !self.version5 {
            let packet = v3_1_1::Connack::builder()
                .session_present(session_present)
                .return_code(ConnectReturnCode::Accepted)
                .build();
            return self.send_built(packet.map(Into::into));
        }
        // What is promised here is held: honest limits beat a surprise later.
        let mut props: Vec<Property> = Vec::new();
        let mut add = |property: Result<Property, MqttError>| props.extend(property);
        add(mqtt::packet::ReceiveMaximum::new(limits::IN_FLIGHT_PER_CONNECTION_MAX).map(Into::into));
        add(mqtt::packet::MaximumPacketSize::new(limits::PACKET_BYTES_MAX).map(Into::into));
        add(mqtt::packet::RetainAvailable::new(0).map(Into::into));
        add(mqtt::packet::SharedSubscriptionAvailable::new(0).map(Into::into));
        add(mqtt::packet::SubscriptionIdentifierAvailable::new(0).map(Into::into));
        if connect.keep_alive_s == 0 {
            add(mqtt::packet::ServerKeepAlive::new(limits::KEEP_ALIVE_DEFAULT_S).map(Into::into));
        }
        if let Some(id) = assigned_id {
            add(mqtt::packet::AssignedClientIdentifier::new(id).map(Into::into));
        }
        let packet = v5_0::Connack::builder()
            .session_present(session_present)
            .reason_code(ConnectReasonCode::Success)
            .props(props)
            .build();
        self.send_built(packet.map(Into::into));
    }

    pub fn refuse(&mut self, why: ConnectRefusal) {
        if self.version5 {
            let code = match why {
                ConnectRefusal::NotAuthorized => ConnectReasonCode::NotAuthorized,
                ConnectRefusal::ClientIdNotValid => ConnectReasonCode::ClientIdentifierNotValid,
                ConnectRefusal::ServerBusy => ConnectReasonCode::ServerBusy,
            };
            self.send_built(v5_0::Connack::builder().session_present(false).reason_code(code).build().map(Into::into));
        } else {
            let code = match why {
                ConnectRefusal::NotAuthorized => ConnectReturnCode::NotAuthorized,
                ConnectRefusal::ClientIdNotValid => ConnectReturnCode::IdentifierRejected,
                ConnectRefusal::ServerBusy => ConnectReturnCode::ServerUnavailable,
            };
            self.send_built(
                v3_1_1::Connack::builder().session_present(false).return_code(code).build().map(Into::into),
            );
        }
        self.closing = true;
    }

    /// Answers a QoS 1 (PUBACK) or QoS 2 (PUBREC) publish. 3.1.1 has no reasons: its answer only ever means "do not send again".
    pub fn answer(&mut self, id: u16, qos: u8, reason: PublishReason) {
        let packet: Result<Packet, MqttError> = match (self.version5, qos) {
            (false, 1) => v3_1_1::Puback::builder().packet_id(id).build().map(Into::into),
            (false, _) => v3_1_1::Pubrec::builder().packet_id(id).build().map(Into::into),
            (true, 1) => {
                let code = match reason {
                    PublishReason::Success => PubackReasonCode::Success,
                    PublishReason::NotAuthorized => PubackReasonCode::NotAuthorized,
                    PublishReason::QuotaExceeded => PubackReasonCode::QuotaExceeded,
                    PublishReason::PayloadFormatInvalid => PubackReasonCode::PayloadFormatInvalid,
                };
                let builder = v5_0::Puback::builder().packet_id(id);
                // Success is what an absent reason means: two bytes fewer.
                let builder = if reason == PublishReason::Success { builder } else { builder.reason_code(code) };
                builder.build().map(Into::into)
            }
            (true, _) => {
                let code = match reason {
                    PublishReason::Success => PubrecReasonCode::Success,
                    PublishReason::NotAuthorized => PubrecReasonCode::NotAuthorized,
                    PublishReason::QuotaExceeded => PubrecReasonCode::QuotaExceeded,
                    PublishReason::PayloadFormatInvalid => PubrecReasonCode::PayloadFormatInvalid,
                };
                v5_0::Pubrec::builder().packet_id(id).reason_code(code).build().map(Into::into)
            }
        };
        self.send_built(packet);
    }

    /// Completes a QoS 2 publish (PUBCOMP).
    pub fn complete(&mut self, id: u16) {
        let packet: Result<Packet, MqttError> = if self.version5 {
            v5_0::Pubcomp::builder().packet_id(id).reason_code(PubcompReasonCode::Success).build().map(Into::into)
        } else {
            v3_1_1::Pubcomp::builder().packet_id(id).build().map(Into::into)
        };
        self.send_built(packet);
    }

    /// Answers a SUBSCRIBE: one entry a filter, the granted QoS or a refusal.
    pub fn subscribed(&mut self, id: u16, granted: &[Option<u8>]) {
        let packet: Result<Packet, MqttError> = if self.version5 {
            let codes = granted
                .iter()
                .map(|g| match g {
                    Some(0) => SubackReasonCode::GrantedQos0,
                    Some(_) => SubackReasonCode::GrantedQos1,
                    None => SubackReasonCode::NotAuthorized,
                })
                .collect();
            v5_0::Suback::builder().packet_id(id).reason_codes(codes).build().map(Into::into)
        } else {
            let codes = granted
                .iter()
                .map(|g| match g {
                    Some(0) => SubackReturnCode::SuccessMaximumQos0,
                    Some(_) => SubackReturnCode::SuccessMaximumQos1,
                    None => SubackReturnCode::Failure,
                })
                .collect();
            v3_1_1::Suback::builder().packet_id(id).return_codes(codes).build().map(Into::into)
        };
        self.send_built(packet);
    }

    pub fn unsubscribed(&mut self, id: u16, count: usize) {
        let packet: Result<Packet, MqttError> = if self.version5 {
            let codes = vec![UnsubackReasonCode::Success; count];
            v5_0::Unsuback::builder().packet_id(id).reason_codes(codes).build().map(Into::into)
        } else {
            v3_1_1::Unsuback::builder().packet_id(id).build().map(Into::into)
        };
        self.send_built(packet);
    }

    pub fn pong(&mut self) {
        let packet: Result<Packet, MqttError> = if self.version5 {
            v5_0::Pingresp::builder().build().map(Into::into)
        } else {
            v3_1_1::Pingresp::builder().build().map(Into::into)
        };
        self.send_built(packet);
    }

    /// Publishes to the peer at QoS 0 or 1. False when the peer's receive maximum is used up: try again after an acknowledgement.
    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: u8) -> bool {
        if qos > 0 && self.connection.get_receive_maximum_vacancy_for_send() == Some(0) {
            return false;
        }
        let id = match qos {
            0 => None,
            _ => match self.connection.acquire_packet_id() {
                Ok(id) => Some(id),
                Err(_) => return false,
            },
        };
        let level = if qos == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
        let packet: Result<Packet, MqttError> = if self.version5 {
            v5_0::Publish::builder()
                .topic_name(topic)
                .and_then(|b| b.qos(level).packet_id(id).payload(payload.to_vec()).build())
                .map(Into::into)
        } else {
            v3_1_1::Publish::builder()
                .topic_name(topic)
                .and_then(|b| b.qos(level).packet_id(id).payload(payload.to_vec()).build())
                .map(Into::into)
        };
        self.send_built(packet);
        true
    }

    /// Ends the connection; a version 5 peer hears why.
    pub fn goodbye(&mut self, why: Goodbye) {
        if self.version5 && !self.closing {
            let code = match why {
                Goodbye::KeepAliveTimeout => DisconnectReasonCode::KeepAliveTimeout,
                Goodbye::TakenOver => DisconnectReasonCode::SessionTakenOver,
                Goodbye::NotAuthorized => DisconnectReasonCode::NotAuthorized,
                Goodbye::PacketTooLarge => DisconnectReasonCode::PacketTooLarge,
                Goodbye::ShuttingDown => DisconnectReasonCode::ServerShuttingDown,
                Goodbye::ImplementationError => DisconnectReasonCode::ImplementationSpecificError,
            };
            self.send_built(v5_0::Disconnect::builder().reason_code(code).build().map(Into::into));
        }
        self.closing = true;
    }

    fn send_built(&mut self, packet: Result<Packet, MqttError>) {
        match packet {
            Ok(packet) => {
                let events = self.connection.send(packet);
                self.take(events);
            }
            Err(e) => self.incoming.push_back(Incoming::Broken(format!("an answer could not be built: {e:?}"))),
        }
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::NotifyPacketReceived(packet) => self.received(packet),
                Event::RequestSendPacket { packet, .. } => self.out.extend_from_slice(&packet.to_continuous_buffer()),
                Event::RequestTimerReset { kind: TimerKind::PingreqRecv, duration_ms } => {
                    self.incoming.push_back(Incoming::KeepAlive(duration_ms));
                }
                Event::RequestTimerCancel(TimerKind::PingreqRecv) => self.incoming.push_back(Incoming::KeepAlive(0)),
                Event::NotifyError(e) => {
                    self.closing = true;
                    self.incoming.push_back(Incoming::Broken(format!("{e:?}")));
                }
                Event::RequestClose => self.closing = true,
                Event::NotifyPacketIdReleased(id) => self.incoming.push_back(Incoming::Acknowledged(id)),
                Event::RequestTimerReset { .. } | Event::RequestTimerCancel(_) => {}
            }
        }
    }

    fn received(&mut self, packet: Packet) {
        let incoming = match packet {
            Packet::V3_1_1Connect(p) => Incoming::Connect(Connect {
                client_id: p.client_id().to_owned(),
                clean: p.clean_session(),
                keep_alive_s: p.keep_alive(),
                session_expiry_s: if p.clean_session() { 0 } else { u32::MAX },
                will: will(p.will_topic(), p.will_payload()),
            }),
            Packet::V5_0Connect(p) => {
                self.version5 = true;
                let expiry = p.props().iter().find_map(|property| match property {
                    Property::SessionExpiryInterval(v) => Some(v.val()),
                    _ => None,
                });
                Incoming::Connect(Connect {
                    client_id: p.client_id().to_owned(),
                    clean: p.clean_start(),
                    keep_alive_s: p.keep_alive(),
                    session_expiry_s: expiry.unwrap_or(0),
                    will: will(p.will_topic(), p.will_payload()),
                })
            }
            Packet::V3_1_1Publish(p) => Incoming::Publish(Publish {
                qos: p.qos() as u8,
                id: p.packet_id(),
                topic: p.topic_name().to_owned(),
                payload: p.payload().as_slice().to_vec(),
            }),
            Packet::V5_0Publish(p) => Incoming::Publish(Publish {
                qos: p.qos() as u8,
                id: p.packet_id(),
                topic: p.topic_name().to_owned(),
                payload: p.payload().as_slice().to_vec(),
            }),
            Packet::V3_1_1Pubrel(p) => Incoming::Release(p.packet_id()),
            Packet::V5_0Pubrel(p) => Incoming::Release(p.packet_id()),
            Packet::V3_1_1Subscribe(p) => Incoming::Subscribe { id: p.packet_id(), filters: filters(p.entries()) },
            Packet::V5_0Subscribe(p) => Incoming::Subscribe { id: p.packet_id(), filters: filters(p.entries()) },
            Packet::V3_1_1Unsubscribe(p) => {
                let filters = p.entries().iter().map(|filter| filter.as_str().to_owned()).collect();
                Incoming::Unsubscribe { id: p.packet_id(), filters }
            }
            Packet::V5_0Unsubscribe(p) => {
                let filters = p.entries().iter().map(|filter| filter.as_str().to_owned()).collect();
                Incoming::Unsubscribe { id: p.packet_id(), filters }
            }
            Packet::V3_1_1Pingreq(_) | Packet::V5_0Pingreq(_) => Incoming::Ping,
            Packet::V3_1_1Disconnect(_) => Incoming::Disconnect { with_will: false },
            Packet::V5_0Disconnect(p) => Incoming::Disconnect {
                with_will: p.reason_code() == Some(DisconnectReasonCode::DisconnectWithWillMessage),
            },
            // Acknowledgements of ours are told by the released packet id.
            _ => return,
        };
        self.incoming.push_back(incoming);
    }
}

fn will(topic: Option<&str>, payload: Option<&[u8]>) -> Option<Will> {
    topic.map(|topic| Will { topic: topic.to_owned(), payload: payload.unwrap_or_default().to_vec() })
}

fn filters(entries: &[mqtt::packet::SubEntry]) -> Vec<(String, u8)> {
    entries.iter().map(|e| (e.topic_filter().to_owned(), e.sub_opts().qos() as u8)).collect()
}
