"""An SOS Access v4 receiver: the PyPI package sos-access reads every request and writes every answer.

Prints its port, then a JSON line for each request: what the package read, or why it did not. Arguments: a JSON object with
`statuses` (of the first alarms; 0 after), `new_password` (given out once), `cert` and `key` (then over TLS).
"""

import json
import socket
import ssl
import sys
import threading
from datetime import datetime

from sos_access import schemas

ENCODING = "iso-8859-1"
TIMEOUT_S = 60

settings = json.loads(sys.argv[1])
statuses = list(settings.get("statuses", []))
lock = threading.Lock()


def say(value):
    with lock:
        print(json.dumps(value), flush=True)


def read(connection):
    data = b""
    while not data.rstrip().endswith((b"request>", b"requestnewauthentication>")):
        part = connection.recv(4096)
        if not part:
            return None
        data += part
    return data


def answer(data):
    text = data.decode(ENCODING)
    now = datetime(2026, 11, 20, 22, 5, 45)
    if "<alarmrequest>" in text:
        request = schemas.AlarmRequestSchema().load(text)
        fields = dict(vars(request), kind="alarm")
        fields["transmitter_time"] = str(fields["transmitter_time"])
        say(fields)
        with lock:
            status = statuses.pop(0) if statuses else 0
        schema, made = schemas.AlarmResponseSchema(), schemas.AlarmResponse
    elif "<pingrequest>" in text:
        request = schemas.PingRequestSchema().load(text)
        say(dict(vars(request), kind="ping"))
        status, schema, made = 0, schemas.PingResponseSchema(), schemas.PingResponse
    else:
        request = schemas.NewAuthRequestSchema().load(text)
        say(dict(vars(request), kind="new password"))
        response = schemas.NewAuthResponse(0, "OK", settings["new_password"], now, request.reference)
        return schemas.NewAuthResponseSchema().dump(response)
    return schema.dump(made(status, "OK" if status == 0 else "NO", now, request.reference))


def serve(connection, context):
    try:
        connection.settimeout(TIMEOUT_S)
        if context:
            connection = context.wrap_socket(connection, server_side=True)
        data = read(connection)
        if data is not None:
            connection.sendall(answer(data).encode(ENCODING))
    except OSError:
        pass  # A gateway that was killed in the middle of it.
    except Exception as error:  # noqa: BLE001: whatever the judge thinks goes to the test
        say({"broken": repr(error)})
    finally:
        connection.close()


def main():
    context = None
    if "cert" in settings:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["cert"], settings["key"])
    listener = socket.create_server(("127.0.0.1", 0))
    say({"port": listener.getsockname()[1]})
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, context), daemon=True).start()


main()
