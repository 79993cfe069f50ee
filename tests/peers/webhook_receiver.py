"""A webhook receiver: Python's own HTTPS server; standardwebhooks judges the signature, jsonschema the body.

Prints its port, then a JSON line for each request. Arguments: a JSON object with `schema` (a file), `secrets` (each must verify),
`statuses` (of the first alarms; 200 after), and `cert`, `key`, `ca` (then over TLS, a client certificate required).
"""

import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jsonschema
from standardwebhooks import Webhook

settings = json.loads(sys.argv[1])
statuses = list(settings.get("statuses", []))
lock = threading.Lock()

with open(settings["schema"], encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def say(value):
    with lock:
        print(json.dumps(value), flush=True)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        told = {"path": self.path, "id": self.headers["webhook-id"], "client": list(self.client_address)}
        try:
            for secret in settings.get("secrets", []):
                Webhook(secret).verify(body, dict(self.headers))
            told["signed"] = "webhook-signature" in self.headers
            told["body"] = json.loads(body)
            told["faults"] = [fault.message for fault in validator.iter_errors(told["body"])]
            if "cert" in settings:
                subject = self.connection.getpeercert()["subject"]
                told["peer"] = dict(pair for part in subject for pair in part).get("commonName")
        except Exception as error:  # noqa: BLE001: whatever the judge thinks goes to the test
            told["broken"] = repr(error)
        status = 200
        if told.get("body", {}).get("type") != "ping":
            with lock:
                status = statuses.pop(0) if statuses else 200
        say(told)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
server.daemon_threads = True
if "cert" in settings:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings["cert"], settings["key"])
    context.load_verify_locations(settings["ca"])
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
say({"port": server.server_address[1]})
server.serve_forever()
