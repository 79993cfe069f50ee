"""A push service and the phone behind it: says its subscription, then, for each message, what it says and who signed it.

push_service.py CERT KEY    (PEM for localhost). One JSON line a word on standard output.
"""

import base64
import json
import os
import ssl
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import http_ece
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

AUTH = os.urandom(16)
PHONE = ec.generate_private_key(ec.SECP256R1())


def plain(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def say(word):
    print(json.dumps(word), flush=True)


class Service(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        fields = dict(part.strip().split("=", 1) for part in self.headers["authorization"].removeprefix("vapid ").split(","))
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw(fields["k"]))
        audience = f"https://localhost:{self.server.server_port}"
        claims = jwt.decode(fields["t"], key, algorithms=["ES256"], audience=audience)
        message = http_ece.decrypt(body, private_key=PHONE, auth_secret=AUTH, version=self.headers["content-encoding"])
        say({"signed_for": claims["aud"], "urgency": self.headers["urgency"], "message": json.loads(message)})
        self.send_response(201)
        self.send_header("content-length", "0")
        self.end_headers()


server = HTTPServer(("127.0.0.1", 0), Service)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
point = PHONE.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
say({
    "port": server.server_port,
    "endpoint": f"https://localhost:{server.server_port}/phone",
    "keys": {"p256dh": plain(point), "auth": plain(AUTH)},
})
server.serve_forever()
