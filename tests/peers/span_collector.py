"""A collector of spans: Python's own HTTP server; the published classes of OpenTelemetry's .proto files judge each request.

Prints its port, then a JSON line for each request: `path`, `spans` (name, ids in hexadecimal, times in nanoseconds, attributes, events), or `broken`.
Arguments: how many requests are answered 503 first.
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

refused = int(sys.argv[1]) if len(sys.argv) > 1 else 0


def read(body):
    """OTLP writes ids in hexadecimal, where protobuf's own JSON has base64: nothing else differs."""
    request = json.loads(body)
    for resource in request["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for key in ("traceId", "spanId", "parentSpanId"):
                    if key in span:
                        span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    return json_format.ParseDict(request, ExportTraceServiceRequest())


def pairs(attributes):
    return {attribute.key: attribute.value.string_value for attribute in attributes}


def shown(span):
    assert len(span.trace_id) == 16 and len(span.span_id) == 8 and len(span.parent_span_id) in (0, 8), span
    return {
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "attributes": pairs(span.attributes),
        "events": [event.name for event in span.events],
    }


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self):
        global refused
        body = self.rfile.read(int(self.headers["content-length"]))
        told = {"path": self.path, "type": self.headers["content-type"], "text": body.decode()}
        try:
            request = read(body)
            told["resource"] = [pairs(resource.resource.attributes) for resource in request.resource_spans]
            scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
            told["spans"] = [shown(span) for scope in scopes for span in scope.spans]
        except Exception as error:  # noqa: BLE001: whatever the judge thinks goes to the test
            told["broken"] = repr(error)
        told["status"] = 503 if refused > 0 else 200
        refused -= 1
        print(json.dumps(told), flush=True)
        self.send_response(told["status"])
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
