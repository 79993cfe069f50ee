"""An MQTT client (paho) driven line by line: a JSON request on stdin, a JSON answer on stdout.

Only a go-between: it says what paho saw and judges nothing. Every request ends within its own timeout.
"""

import json
import ssl
import sys
import threading
import time

import paho.mqtt.client as mqtt


class Peer:
    def __init__(self):
        self.client = None
        self.changed = threading.Condition()
        self.reset()

    def reset(self):
        self.connack = None
        self.closed = None
        self.acks = {}
        self.granted = {}
        self.messages = []

    def note(self, change):
        with self.changed:
            change()
            self.changed.notify_all()

    def wait(self, condition, timeout_s):
        with self.changed:
            return self.changed.wait_for(condition, timeout_s)

    def connect(self, r):
        self.reset()
        v5 = r["version"] == 5
        kwargs = {} if v5 else {"clean_session": r.get("clean", True)}
        c = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=r["client_id"],
            protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=r.get("manual_ack", False),
            **kwargs,
        )
        c.tls_set(ca_certs=r["ca"], certfile=r.get("cert"), keyfile=r.get("key"), cert_reqs=ssl.CERT_REQUIRED)
        if r.get("tls12"):
            c._ssl_context.maximum_version = ssl.TLSVersion.TLSv1_2
        if "will" in r:
            c.will_set(r["will"]["topic"], r["will"]["payload"], qos=1)
        flags = lambda f: {"session_present": f.session_present}

        def on_connect(client, userdata, f, reason, properties):
            limits = {} if properties is None else {
                name: getattr(properties, name)
                for name in ("ReceiveMaximum", "MaximumPacketSize", "MaximumQoS", "RetainAvailable", "ServerKeepAlive")
                if hasattr(properties, name)
            }
            self.note(lambda: setattr(self, "connack", {"reason": reason.value, **flags(f), "limits": limits}))

        c.on_connect = on_connect
        c.on_disconnect = lambda client, u, f, reason, p: self.note(
            lambda: setattr(self, "closed", {"reason": reason.value, "from_server": f.is_disconnect_packet_from_server})
        )
        c.on_publish = lambda client, u, mid, reason, p: self.note(lambda: self.acks.__setitem__(mid, reason.value))
        c.on_subscribe = lambda client, u, mid, reasons, p: self.note(
            lambda: self.granted.__setitem__(mid, [x.value for x in reasons])
        )
        c.on_message = lambda client, u, m: self.note(
            lambda: self.messages.append(
                {"topic": m.topic, "payload": m.payload.decode("utf-8", "replace"), "qos": m.qos, "dup": m.dup, "retain": m.retain}
            )
        )
        self.client = c
        options = {}
        if v5:
            options["clean_start"] = r.get("clean", True)
            if "session_expiry_s" in r:
                p = mqtt.Properties(mqtt.PacketTypes.CONNECT)
                p.SessionExpiryInterval = r["session_expiry_s"]
                options["properties"] = p
        try:
            c.connect("127.0.0.1", r["port"], keepalive=r.get("keepalive_s", 60), **options)
        except OSError as e:  # ssl.SSLError is one
            return {"connected": False, "error": str(e)}
        c.loop_start()
        self.wait(lambda: self.connack is not None or self.closed is not None, 15)
        if self.connack is None:
            return {"connected": False, "error": f"closed before CONNACK: {self.closed}"}
        return {"connected": self.connack["reason"] == 0, **self.connack}

    def publish(self, r):
        payload = bytes.fromhex(r["hex"]) if "hex" in r else r["payload"]
        info = self.client.publish(r["topic"], payload, qos=r["qos"], retain=r.get("retain", False))
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            return {"acked": False, "error": mqtt.error_string(info.rc)}
        done = self.wait(lambda: info.mid in self.acks or self.closed is not None, r.get("timeout_s", 20))
        if info.mid in self.acks:
            return {"acked": True, "reason": self.acks[info.mid]}
        return {"acked": False, "error": "closed" if done else "no answer", "closed": self.closed}

    def subscribe(self, r):
        rc, mid = self.client.subscribe(r["topic"], qos=r.get("qos", 1))
        self.wait(lambda: mid in self.granted or self.closed is not None, 15)
        return {"granted": self.granted.get(mid), "closed": self.closed}

    def take(self, r):
        """Waits until `count` messages have come, then gives all and forgets them."""
        self.wait(lambda: len(self.messages) >= r["count"], r.get("timeout_s", 20))
        with self.changed:
            messages, self.messages = self.messages, []
        return {"messages": messages}

    def wait_closed(self, r):
        self.wait(lambda: self.closed is not None, r.get("timeout_s", 20))
        return {"closed": self.closed}

    def disconnect(self, r):
        self.client.disconnect()
        self.wait(lambda: self.closed is not None, 10)
        self.client.loop_stop()
        return {}

    def drop(self, r):
        """Closes the socket without DISCONNECT: what a lost radio looks like."""
        sock = self.client.socket()
        self.client.loop_stop()
        if sock is not None:
            sock.close()
        return {}


def main():
    peer = Peer()
    for line in sys.stdin:
        r = json.loads(line)
        try:
            answer = getattr(peer, r["do"])(r)
        except Exception as e:  # shown to the test, which then fails
            answer = {"broken": f"{type(e).__name__}: {e}"}
        print(json.dumps(answer), flush=True)


main()
