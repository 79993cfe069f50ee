"""A lamp (kind feedback) on paho: does what it is told, answers `done`, and says each command on standard output.

Arguments: port, id, folder with its three files. The first line is `ready`.
"""

import itertools
import json
import ssl
import sys

import paho.mqtt.client as mqtt

port, device, folder = sys.argv[1:]
numbers = itertools.count(1)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device, protocol=mqtt.MQTTv5)
client.tls_set(f"{folder}/ca.pem", f"{folder}/cert.pem", f"{folder}/key.pem", cert_reqs=ssl.CERT_REQUIRED)


def tell(event):
    said = {"v": 1, "restart": 1, "seq": next(numbers), "event": event}
    client.publish(f"vaka/v1/{device}/event", json.dumps(said), qos=1)


def on_connect(client, *_):
    client.subscribe(f"vaka/v1/{device}/command", qos=1)


def on_message(_client, _data, message):
    command = json.loads(message.payload)
    print(json.dumps(command["command"]), flush=True)
    tell({"done": {"id": command["id"], "outcome": "done"}})


client.on_connect = on_connect
client.on_message = on_message
client.on_subscribe = lambda *_: (tell({"alive": {}}), print("ready", flush=True))
client.connect("127.0.0.1", int(port))
client.loop_start()
# On standard input: an event's name and fields, as JSON.
for line in sys.stdin:
    tell(json.loads(line))
