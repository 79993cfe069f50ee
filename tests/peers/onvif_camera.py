"""An ONVIF camera that is not ours: ipycam's services and its discovery, without its video.

Prints its port on one line, then serves until its standard input ends. What ipycam needs for video alone (OpenCV and the like) is not
installed for this: stand-ins take its place.
"""
import argparse
import http.server
import sys
import threading
from unittest import mock

for name in ("cv2", "numpy", "av", "aiortc"):
    sys.modules[name] = mock.MagicMock()

from ipycam.config import CameraConfig  # noqa: E402
from ipycam.discovery import WSDiscoveryServer  # noqa: E402
from ipycam.http import IPCameraHTTPHandler  # noqa: E402
from ipycam.onvif import ONVIFService  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--user", default="")
parser.add_argument("--password", default="")
parser.add_argument("--host", default="127.0.0.1", help="what its answers name as its own host")
parser.add_argument("--discovery", action="store_true")
arguments = parser.parse_args()


class Camera:
    config = CameraConfig(local_ip=arguments.host, username=arguments.user, password=arguments.password)
    onvif = ONVIFService(config)


class Handler(IPCameraHTTPHandler):
    camera = Camera


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Camera.config.onvif_port = server.server_address[1]
if arguments.discovery:
    WSDiscoveryServer(Camera.onvif).start()
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
