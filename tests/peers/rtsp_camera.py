#!/usr/bin/python3
"""An RTSP camera that is not ours: GStreamer's server, H.264, digest or basic authentication, TLS if asked for.

Prints its port on one line, then serves until its standard input ends.
Debian: gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-{base,good,bad,ugly}, python3-gi (so /usr/bin/python3).
"""
import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--user")
parser.add_argument("--password", default="")
parser.add_argument("--method", choices=["digest", "basic"], default="digest")
parser.add_argument("--pem", help="certificate and key for TLS, one file")
parser.add_argument("--path", default="/stream2")
parser.add_argument("--codec", choices=["h264", "h265", "jpeg"], default="h264")
parser.add_argument("--frames", type=int, default=-1, help="ends after so many pictures")
parser.add_argument("--rate", type=int, default=10)
arguments = parser.parse_args()

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
if arguments.user or arguments.pem:
    auth = GstRtspServer.RTSPAuth()
    if arguments.pem:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(arguments.pem))
    if arguments.user:
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
        if arguments.method == "digest":
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(arguments.user, arguments.password, token)
        else:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
            basic = GstRtspServer.RTSPAuth.make_basic(arguments.user, arguments.password)
            auth.add_basic(basic, token)
    server.set_auth(auth)

coded = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bframes=0 ! video/x-h264,profile=constrained-baseline"
    " ! rtph264pay name=pay0 pt=96 config-interval=-1",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph265pay name=pay0 pt=96",
    "jpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
}[arguments.codec]
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( videotestsrc is-live=true pattern=ball num-buffers={arguments.frames} "
    f"! video/x-raw,format=I420,width=320,height=240,framerate={arguments.rate}/1 ! {coded} )"
)
if arguments.user:
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
    permissions.add_permission_for_role("viewer", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory(arguments.path, factory)
server.attach(None)
print(server.get_bound_port(), flush=True)

loop = GLib.MainLoop()
threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
loop.run()
