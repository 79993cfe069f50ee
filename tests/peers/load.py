"""Several paho clients that publish as fast as they are acknowledged, across any number of lost connections.

Argument: JSON {port, devices: [{id, ca, cert, key, version}], in_flight, restart, press_every}.
Prints `ACK <device> <restart> <seq>` for every PUBACK with success, `REFUSED <device> <seq> <reason>` for others.
`stop` on stdin: nothing new is published, what is unacknowledged is waited for, then `DONE <published> <acked>`.
paho sends again what was not acknowledged after each reconnect, with the same bytes.
"""

import json
import queue
import ssl
import sys
import threading
import time

import paho.mqtt.client as mqtt


class Sender:
    def __init__(self, port, device, restart, in_flight, press_every):
        self.device, self.restart, self.in_flight, self.press_every = device, restart, in_flight, press_every
        self.seq = 0
        self.acks = queue.Queue()
        self.waiting = {}
        self.acked = 0
        v5 = device["version"] == 5
        self.client = c = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=device["id"],
            protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311,
            **({} if v5 else {"clean_session": False}),
        )
        c.tls_set(ca_certs=device["ca"], certfile=device["cert"], keyfile=device["key"], cert_reqs=ssl.CERT_REQUIRED)
        c.reconnect_delay_set(min_delay=0.05, max_delay=0.2)
        c.max_inflight_messages_set(in_flight)
        # Only a queue here: paho calls this with its own lock held.
        c.on_publish = lambda client, u, mid, reason, p: self.acks.put((mid, reason.value))
        options = {}
        if v5:
            options["clean_start"] = mqtt.MQTT_CLEAN_START_FIRST_ONLY
            p = mqtt.Properties(mqtt.PacketTypes.CONNECT)
            p.SessionExpiryInterval = 3600
            options["properties"] = p
        while True:
            try:
                c.connect("127.0.0.1", port, keepalive=30, **options)
                break
            except OSError:
                time.sleep(0.05)  # the gateway is between two lives
        c.loop_start()

    def drain(self):
        while True:
            try:
                mid, reason = self.acks.get_nowait()
            except queue.Empty:
                return
            seq = self.waiting.pop(mid)
            if reason < 0x80:
                self.acked += 1
                print(f"ACK {self.device['id']} {self.restart} {seq}")
            else:
                print(f"REFUSED {self.device['id']} {seq} {reason}")

    def fill(self):
        while len(self.waiting) < self.in_flight:
            self.seq += 1
            event = {"button": {"press": "short"}} if self.seq % self.press_every == 0 else {"motion": {}}
            body = {"v": 1, "restart": self.restart, "seq": self.seq, "at": int(time.time() * 1000), "event": event}
            info = self.client.publish(f"vaka/v1/{self.device['id']}/event", json.dumps(body), qos=1)
            self.waiting[info.mid] = self.seq


def main():
    a = json.loads(sys.argv[1])
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    senders = [Sender(a["port"], d, a["restart"], a["in_flight"], a["press_every"]) for d in a["devices"]]
    while not stop.is_set():
        for s in senders:
            s.drain()
            s.fill()
        sys.stdout.flush()
        time.sleep(0.002)
    deadline = time.monotonic() + 60
    while any(s.waiting for s in senders) and time.monotonic() < deadline:
        for s in senders:
            s.drain()
        sys.stdout.flush()
        time.sleep(0.01)
    for s in senders:
        s.drain()
    print("DONE", sum(s.seq for s in senders), sum(s.acked for s in senders), flush=True)


main()
