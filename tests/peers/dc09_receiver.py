"""A DC-09 receiver made of a library that nobody here wrote: pysiaalarm, or siadc09.

Argument: a JSON object with `peer`, `account`, `key` (hexadecimal, or null), `cert` and `cert_key` (PEM files: then it speaks TLS, or null),
`ahead_s` (how far its clock is ahead). On stdout: `PORT n`, then a JSON object for each thing it took or refused. It judges nothing.
siadc09 has no server: the sockets here are Python's, every frame is read and written by the library.
"""

import json
import logging
import socketserver
import ssl
import sys
import threading
from datetime import timedelta


def tell(**facts):
    print(json.dumps(facts), flush=True)


def context(r):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(r["cert"], r["cert_key"])
    return made


def pysiaalarm(r):
    from pysiaalarm import SIAAccount, SIAClient

    # Its keys are 16, 24 or 32 characters whose bytes are the key.
    key = bytes.fromhex(r["key"]).decode("ascii") if r["key"] else None

    def took(event):
        tell(
            did="ack", id=event.message_type.value, encrypted=bool(event.encrypted), number=event.sequence, code=event.code,
            contact_id=event.event_type, qualifier=event.event_qualifier, zone=event.ri, message=event.message, extended=event.x_data,
        )

    client = SIAClient("127.0.0.1", 0, [SIAAccount(r["account"], key)], took)
    if r["cert"]:
        client.sia_server.socket = context(r).wrap_socket(client.sia_server.socket, server_side=True)
    client.start()
    return client.sia_server.server_address[1]


def siadc09(r):
    from siadc09 import message, util
    from siadc09.dc09 import MAXDIFF, MINDIFF

    key = bytes.fromhex(r["key"]) if r["key"] else None

    def answer(frame):
        try:
            got = message.parse_frame(bytes(frame), key)
        except Exception as wrong:
            tell(did="nothing", why=f"{type(wrong).__name__}: {wrong}", frame=frame.decode("latin-1"))
            return b""
        now = util.now() + timedelta(seconds=r["ahead_s"])
        if got.timestamp is not None and not MINDIFF <= (got.timestamp - now).total_seconds() <= MAXDIFF:
            tell(did="nak", number="%04d" % got.seq, id=got.idtoken)
            return message.NakMessage(got.account, now).encode()
        event = getattr(got.data, "event", None)
        tell(
            did="ack", id=got.idtoken, encrypted=got.encrypted, number="%04d" % got.seq, code=None,
            contact_id=getattr(event, "code", None), qualifier=getattr(event, "qualifier", None),
            zone=None if event is None else "%03X" % event.addr, message=str(got.data), extended=" ".join(str(x) for x in got.xdata),
        )
        reply = message.AckMessage(got.account, got.seq, now if got.timestamp else None)
        return reply.encode(encrypt=got.encrypted)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            held = bytearray()
            while more := self.request.recv(4096):
                held += more
                while (end := held.find(b"\r")) >= 0:
                    self.request.sendall(answer(held[: end + 1]))
                    del held[: end + 1]

    # A gateway that is killed resets its connection.
    class Quiet(Handler):
        def handle(self):
            try:
                super().handle()
            except ConnectionError:
                pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Quiet)
    if r["cert"]:
        server.socket = context(r).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


if __name__ == "__main__":
    # What a library has to say of frames that it refuses is noise here: that it refuses them is told above.
    logging.disable()
    request = json.loads(sys.argv[1])
    tell(port={"pysiaalarm": pysiaalarm, "siadc09": siadc09}[request["peer"]](request))
    sys.stdin.read()
