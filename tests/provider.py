"""A login provider (OpenID Connect) on this machine: enough of one for a real login, with keys of its own."""

import base64
import contextlib
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "studio", "the secret of the client"
Claims = dict[str, Any]


class Provider(ThreadingHTTPServer):
    """Anybody may sign in as any of `accounts`, by a click on the name."""

    daemon_threads = True

    def __init__(self, accounts: dict[str, Claims]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.accounts = accounts
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def discovery(self) -> str:
        return f"{self.address}/.well-known/openid-configuration"


class _Answer(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        self.server.asked.append(asked.path)
        query = dict(parse_qsl(asked.query))
        match asked.path:
            case "/.well-known/openid-configuration":
                self._json(self._about())
            case "/jwks":
                self._json({"keys": [self.server.key.as_dict(private=False)]})
            case "/authorize":
                links = (f'<p><a href="/as?{html.escape(urlencode(query | {"account": name}))}">{html.escape(name)}</a>'
                         for name in self.server.accounts)  # fmt: skip
                self._send(200, "text/html", "".join(links).encode())
            case "/as":
                code = secrets.token_urlsafe()
                self.server.codes[code] = query
                self.send_response(302)
                back = urlencode({"code": code, "state": query["state"]})
                self.send_header("Location", f"{query['redirect_uri']}?{back}")
                self.end_headers()
            case _:
                self._send(404, "text/plain", b"")

    def do_POST(self) -> None:
        """The code for a token: once, for the client that has the secret, and the verifier of its challenge."""
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        asked = self.server.codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{quote(CLIENT)}:{quote(SECRET)}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        known = self.headers["Authorization"] in (f"Basic {basic}", f"Basic {plain}")
        if asked is None or not known or asked["code_challenge"] != challenge:
            return self._send(400, "application/json", b'{"error": "invalid_grant"}')
        now = int(time.time())
        claims = {"iss": self.server.address, "aud": CLIENT, "sub": asked["account"], "iat": now, "exp": now + 600,
                  "nonce": asked["nonce"], **self.server.accounts[asked["account"]]}  # fmt: skip
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.server.key)
        self._json({"access_token": "none", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def log_message(self, *_: object) -> None:
        """Nothing is said on the terminal."""

    def _about(self) -> dict[str, Any]:
        address = self.server.address
        return {
            "issuer": address,
            "authorization_endpoint": f"{address}/authorize",
            "token_endpoint": f"{address}/token",
            "jwks_uri": f"{address}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def _json(self, value: object) -> None:
        self._send(200, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def provided(accounts: dict[str, Claims]) -> Iterator[Provider]:
    """A provider that answers until the block ends."""
    provider = Provider(accounts)
    thread = threading.Thread(target=provider.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.shutdown()
        provider.server_close()
        thread.join()
