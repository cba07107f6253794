"""The control port of a relay, as a program on the plant network would use it."""
import contextlib
import http.client
import json


class ControlError(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Control:
    def __init__(self, port, token="", host="127.0.0.1", timeout=5.0):
        self.namespace = None  # of the host from which it is asked
        self.port, self.token, self.host, self.timeout = port, token, host, timeout

    def request(self, method, path, body=None, headers=None, timeout=None):
        """(status, body text) of one request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout or self.timeout)
        try:
            with self.namespace or contextlib.nullcontext():
                connection.connect()
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def status(self) -> dict:
        code, text = self.request("GET", "/v1/status")
        if code != 200:
            raise ControlError(code, text)
        return json.loads(text)

    def state(self) -> str:
        return self.status()["role"]["state"]

    def metrics(self) -> dict:
        """Every sample of /metrics: {'name{labels}': value}."""
        code, text = self.request("GET", "/metrics")
        if code != 200:
            raise ControlError(code, text)
        samples = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def command(self, name, arguments=None, token=None, timeout=60.0) -> dict:
        """POST /v1/<name>; raises ControlError with the answer where it is not ok."""
        headers = {"Content-Type": "application/json"}
        token = self.token if token is None else token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        code, text = self.request("POST", f"/v1/{name}", json.dumps(arguments or {}), headers, timeout)
        try:
            body = json.loads(text)
        except ValueError:
            body = {"ok": False, "error": text}
        if code >= 300 or not body.get("ok"):
            raise ControlError(code, body)
        return body
