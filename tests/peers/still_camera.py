"""A camera with still pictures (GET /snap.jpg), on Python's own HTTP server; its pictures are ffmpeg's, each another.

Argument: a folder for the pictures. Says its port on the first line, then a line for each picture that it gives. On standard input:
`off` it refuses, `on` it gives pictures again.
"""

import http.server
import itertools
import pathlib
import subprocess
import sys
import threading

folder = pathlib.Path(sys.argv[1])
made = [
    "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=5", "-vf", "noise=alls=12:allf=t",
    "-frames:v", "20", "-q:v", "5", str(folder / "%02d.jpg"),
]
subprocess.run(made, check=True, stdin=subprocess.DEVNULL)
pictures = itertools.cycle([file.read_bytes() for file in sorted(folder.glob("*.jpg"))])
lock = threading.Lock()
is_on = True


class Camera(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with lock:
            picture = next(pictures)
        if not is_on or self.path != "/snap.jpg":
            self.send_error(503 if self.path == "/snap.jpg" else 404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(picture)))
        self.end_headers()
        self.wfile.write(picture)
        print("picture", flush=True)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
for line in sys.stdin:
    is_on = line.strip() != "off"
    print(line.strip(), flush=True)
