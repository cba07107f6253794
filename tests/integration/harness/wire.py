"""A frontend that speaks the protocol byte by byte, for what no driver can be made to do.

Message formats: PostgreSQL manual, chapter "Frontend/Backend Protocol", section "Message Formats".
"""
import socket
import struct

PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = 3 << 16 | 2
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def request(code: int, body: bytes = b"") -> bytes:
    """A packet without a type byte: start-up, SSLRequest, GSSENCRequest, CancelRequest."""
    return struct.pack("!II", len(body) + 8, code) + body


def startup(version=PROTOCOL_3_0, **parameters) -> bytes:
    body = b"".join(text(k) + text(v) for k, v in parameters.items()) + b"\0"
    return request(version, body)


def query(sql: str) -> bytes:
    return message(b"Q", text(sql))


def parse(sql: str, name="") -> bytes:
    return message(b"P", text(name) + text(sql) + struct.pack("!H", 0))


def bind(*values, name="", portal="") -> bytes:
    """Values as text; None is NULL."""
    body = text(portal) + text(name) + struct.pack("!HH", 0, len(values))
    for value in values:
        data = None if value is None else str(value).encode()
        body += struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data
    return message(b"B", body + struct.pack("!H", 0))


def describe(kind=b"P", name="") -> bytes:
    return message(b"D", kind + text(name))


def execute(portal="", rows=0) -> bytes:
    return message(b"E", text(portal) + struct.pack("!I", rows))


def function_call(oid: int, *values: bytes) -> bytes:
    """Arguments and result in binary."""
    body = struct.pack("!IHHH", oid, 1, 1, len(values))
    body += b"".join(struct.pack("!i", len(v)) + v for v in values)
    return message(b"F", body + struct.pack("!H", 1))


SYNC = message(b"S")
FLUSH = message(b"H")
TERMINATE = message(b"X")
COPY_DONE = message(b"c")


def copy_data(data: bytes) -> bytes:
    return message(b"d", data)


def extended(sql: str, *values) -> bytes:
    return parse(sql) + bind(*values) + describe() + execute()


class WireError(Exception):
    """An ErrorResponse: its fields by their one-letter codes."""

    def __init__(self, fields):
        super().__init__(f"{fields.get('S')} {fields.get('C')}: {fields.get('M')}")
        self.fields = fields


class Wire:
    """One connection. Reads have a time limit, so that a test fails instead of hanging."""

    def __init__(self, port, host="127.0.0.1", timeout=20.0):
        if str(host).startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.connect(f"{host}/.s.PGSQL.{port}")
        else:
            self.socket = socket.create_connection((host, port), timeout)
        self.parameters = {}
        self.cancel_key = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *packets: bytes):
        self.socket.sendall(b"".join(packets))

    def exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(min(count - len(data), 1 << 20))
            if not piece:
                raise EOFError(f"the stream ended after {len(data)} of {count} bytes")
            data += piece
        return bytes(data)

    def receive(self):
        """(type, body) of the next message."""
        head = self.exactly(5)
        return head[:1], self.exactly(struct.unpack("!I", head[1:])[0] - 4)

    def until_ready(self, raise_errors=True):
        """Every message up to and with the next ReadyForQuery. A FATAL ends the stream and is raised as any error is."""
        messages = []
        while not messages or messages[-1][0] != b"Z":
            try:
                messages.append(self.receive())
            except (EOFError, ConnectionError):
                if not messages or messages[-1][0] != b"E" or not raise_errors:
                    raise
                break
        errors = [fields(body) for kind, body in messages if kind == b"E"]
        if errors and raise_errors:
            raise WireError(errors[0])
        return messages

    def login(self, user="trusting", database="app", version=PROTOCOL_3_0, **parameters):
        """A start-up without a password; returns the messages up to ReadyForQuery."""
        self.send(startup(version, user=user, database=database, **parameters))
        messages = self.until_login()
        return messages

    def until_login(self):
        messages = []
        while not messages or messages[-1][0] != b"Z":
            kind, body = self.receive()
            messages.append((kind, body))
            if kind == b"E":
                raise WireError(fields(body))
            if kind == b"S":
                name, value = body[:-1].split(b"\0")
                self.parameters[name.decode()] = value.decode()
            if kind == b"K":
                self.cancel_key = body
        return messages

    def at_end(self) -> bool:
        """Whether the other side has ended the stream (waits for it)."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def fields(body: bytes) -> dict:
    """The fields of an ErrorResponse or NoticeResponse."""
    parts = body.split(b"\0")
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in parts if part}


def rows(messages) -> list:
    """The values of every DataRow, as text."""
    found = []
    for kind, body in messages:
        if kind != b"D":
            continue
        (count,), at, row = struct.unpack_from("!H", body), 2, []
        for _ in range(count):
            (length,) = struct.unpack_from("!i", body, at)
            at += 4
            row.append(None if length < 0 else body[at:at + length].decode(errors="replace"))
            at += max(0, length)
        found.append(row)
    return found


def tags(messages) -> list:
    return [body.rstrip(b"\0").decode() for kind, body in messages if kind == b"C"]


def kinds(messages) -> str:
    return b"".join(kind for kind, _ in messages).decode()
