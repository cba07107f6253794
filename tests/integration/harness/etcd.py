"""A witness: one real etcd member, plain or with TLS and users."""
import base64
import json
import pathlib
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request

from .places import free_port, new_folder
from .process import Program

ETCD = "/usr/bin/etcd"


def installed() -> bool:
    return pathlib.Path(ETCD).exists()


class Etcd(Program):
    """A cluster of one member. `certificates` (Certificates): it speaks TLS alone and wants a certificate of clients."""

    name = "etcd"
    start_timeout = 30.0

    def __init__(self, certificates=None, address="127.0.0.1"):
        super().__init__(new_folder("etcd"))
        self.certificates, self.address = certificates, address
        self.port, self.peer_port = free_port(), free_port()
        self.token = None

    def url(self, port=None) -> str:
        return f"{'https' if self.certificates else 'http'}://{self.address}:{port or self.port}"

    def command(self):
        peer = f"http://127.0.0.1:{self.peer_port}"
        tls = []
        if self.certificates:
            made = self.certificates
            tls = ["--cert-file", made.path("server.pem"), "--key-file", made.path("server.key"), "--trusted-ca-file",
                   made.path("ca.pem"), "--client-cert-auth"]
        return [ETCD, "--data-dir", self.folder / "data", "--listen-client-urls", self.url(), "--advertise-client-urls",
                self.url(), "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
                f"default={peer}", *tls]

    def ready(self):
        return self.get("/health")["health"] == "true"

    def wipe(self):
        """The same address, with nothing in it: another cluster."""
        self.kill()
        shutil.rmtree(self.folder / "data")
        return self.start()

    # As a client.
    def _open(self, request):
        context = None
        if self.certificates:
            context = ssl.create_default_context(cafile=self.certificates.path("ca.pem"))
            context.load_cert_chain(self.certificates.path("client.pem"), self.certificates.path("client.key"))
        with self.inside(), urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return json.load(answer)

    def get(self, path):
        return self._open(self.url() + path)

    def post(self, path, body):
        headers = {"Content-Type": "application/json", **({"Authorization": self.token} if self.token else {})}
        request = urllib.request.Request(self.url() + path, json.dumps(body).encode(), headers, method="POST")
        try:
            return self._open(request)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"etcd answers {path} with {error.code}: {error.read()[:300]!r}") from None

    def record(self, pair_uuid, prefix="/pgtandem"):
        """What the pair's key holds, or None."""
        answer = self.post("/v3/kv/range", {"key": base64.b64encode(f"{prefix}/{pair_uuid}".encode()).decode()})
        found = answer.get("kvs", [])
        return json.loads(base64.b64decode(found[0]["value"])) if found else None

    def put(self, pair_uuid, text, prefix="/pgtandem"):
        """Anything under the pair's key, as somebody else's or an earlier time's."""
        key, value = (base64.b64encode(part.encode()).decode() for part in (f"{prefix}/{pair_uuid}", text))
        self.post("/v3/kv/put", {"key": key, "value": value})

    def enable_auth(self, user, password, prefix="/pgtandem"):
        """From now on clients log in; `user` may read and write below `prefix` alone."""
        key, end = (base64.b64encode(text.encode()).decode() for text in (prefix + "/", prefix + "0"))
        for path, body in (
                ("user/add", {"name": "root", "password": "root's own"}), ("role/add", {"name": "root"}),
                ("user/grant", {"user": "root", "role": "root"}), ("user/add", {"name": user, "password": password}),
                ("role/add", {"name": "relay"}),
                ("role/grant", {"name": "relay", "perm": {"permType": "READWRITE", "key": key, "range_end": end}}),
                ("user/grant", {"user": user, "role": "relay"}), ("enable", {})):
            self.post(f"/v3/auth/{path}", body)
        self.token = self.post("/v3/auth/authenticate", {"name": "root", "password": "root's own"})["token"]


class Certificates:
    """An authority, and a server's and a client's certificate by it.

    The client's has no common name: etcd's gateway refuses one where clients also log in."""

    def __init__(self):
        self.folder = new_folder("certificates")
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test-authority", "-keyout",
                      self.path("ca.key"), "-out", self.path("ca.pem"))
        self._issue("server", "IP:127.0.0.1")
        self._issue("client", "DNS:relay")

    def path(self, name) -> str:
        return str(self.folder / name)

    def _issue(self, name, alternatives):
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/O={name}", "-keyout", self.path(f"{name}.key"),
                      "-out", self.path(f"{name}.csr"))
        self._openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.pem"), "-CAkey",
                      self.path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out",
                      self.path(f"{name}.pem"))
        pathlib.Path(self.path(f"{name}.key")).chmod(0o600)

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
