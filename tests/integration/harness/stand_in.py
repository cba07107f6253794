"""A relay as a forwarder sees it, without servers behind it."""
import contextlib
import hmac
import http.server
import json
import socket
import threading

CLUSTER = "6f1c7a52-0a55-4d3c-8a6e-1f0b7f0d1a11"
GENERATION = "00000000-0000-4000-8000-000000000001"


def signed_record(epoch, master) -> dict:
    """A record of role as common/roles/role-record.h writes it."""
    payload = (f"pgtandem-role 1 cluster={CLUSTER} epoch={epoch} master={master} data_node={master} "
               f"generation={GENERATION} sync=true")
    return {"payload": payload,
            "mac": hmac.new(b"a key of stand-ins", b"record\n" + payload.encode(), "sha256").hexdigest()}


class StandIn:
    """A relay as a forwarder sees it: a control port with a status, and a port that says who it is and echoes."""

    def __init__(self, node, ports=(0, 0)):
        self.node = node
        self.guests = False
        self.said = threading.Condition()
        self.state, self.epoch, self.master = "STANDBY", 1, "a"
        self.connections = 0
        self.carried = []  # records that a forwarder brought
        stand_in = self

        class Control(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.path.startswith("/v1/watch"):
                    self.send_response(200)
                    self.send_header("Content-Type", "text/event-stream")
                    self.end_headers()
                    with contextlib.suppress(OSError):
                        while not stand_in.closing.is_set():
                            self.wfile.write(f"data: {json.dumps(stand_in.status())}\n\n".encode())
                            self.wfile.flush()
                            with stand_in.said:
                                stand_in.said.wait(0.05)
                    self.close_connection = True
                    return
                body = json.dumps(stand_in.status()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                """A record that the forwarder carries here."""
                stand_in.carried.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "11")
                self.end_headers()
                self.wfile.write(b'{"ok":true}')

            def log_message(self, *_):
                pass

        self.closing = threading.Event()
        self.control = http.server.ThreadingHTTPServer(("127.0.0.1", ports[1]), Control)
        self.control.daemon_threads = True
        self.listener = socket.create_server(("127.0.0.1", ports[0]), backlog=512)
        self.open = []
        threading.Thread(target=self.control.serve_forever, daemon=True).start()
        threading.Thread(target=self.serve, daemon=True).start()

    def says(self, state, epoch, master, guests=False):
        """At once, to all who watch."""
        with self.said:
            self.state, self.epoch, self.master, self.guests = state, epoch, master, guests
            self.said.notify_all()

    def status(self):
        return {"version": "0.1.0", "node": self.node, "mode": "pair", "protocol": "postgres", "discipline": "classic",
                "uptime_s": 1,
                "role": {"state": self.state, "epoch": self.epoch, "master": self.master, "data_node": self.master,
                         "generation": GENERATION, "sync": True, "reason": "", "since_s": 1},
                "nodes": {}, "record": signed_record(self.epoch, self.master), "peer": None, "postmaster": {"ok": True},
                "sessions": {"open": 0, "total": 0, "refused": 0},
                "traffic": {"units": 0, "frontend_bytes": 0, "backend_bytes": 0, "standby_bytes": 0},
                "standby": {"joined": True, "stale_reason": "", "lag_units": 0}, "differences": {"writes": 0, "reads": 0},
                "guests": self.guests, "bootstrap": None, "events": [], "hint": ""}

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                self.open.append(connection)
                threading.Thread(target=self.echo, args=(connection,), daemon=True).start()

    def echo(self, connection):
        """Says who it is, then echoes until the client's end of stream, then says goodbye."""
        with contextlib.suppress(OSError), connection:
            connection.sendall(self.node.encode())
            while data := connection.recv(1 << 16):
                connection.sendall(data)
            connection.sendall(b"bye")

    @property
    def ports(self):
        return self.listener.getsockname()[1], self.control.server_address[1]

    def close(self):
        self.closing.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.listener.close()
        for connection in self.open:
            connection.close()
        self.control.shutdown()
        self.control.server_close()
