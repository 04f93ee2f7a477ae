"""A small OAuth server: a token endpoint for client credentials (RFC 6749, 4.4), and its public keys."""

import base64
import binascii
import json
import subprocess
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

AUDIENCE, CLIENT, SECRET = "kafka", "k2", "c4n4ry-0auth"
_LIFE_SECONDS = 60


class TokenEndpoint:
    """Serves ``/token`` and ``/keys`` on a loopback port as long as the block lasts.

    ``given`` are the tokens that it has given out, ``refused`` counts those that it did not.
    """

    def __init__(self, folder: Path) -> None:
        """Make a key of its own in ``folder``."""
        self.given: list[str] = []
        self.refused = 0
        self._key = folder / "token.key"
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                 "-out", str(self._key))  # fmt: skip
        said = _openssl("rsa", "-in", str(self._key), "-noout", "-modulus").decode()
        self._modulus = binascii.unhexlify(said.strip().partition("=")[2])
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, endpoint.keys())

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                form = parse_qs(self.rfile.read(length).decode())
                self._answer(*endpoint.answer(self.headers.get("Authorization", ""), form))

            def _answer(self, status: int, said: dict[str, Any]) -> None:
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "TokenEndpoint":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def keys(self) -> dict[str, Any]:
        """Return the public keys (RFC 7517)."""
        key = {"kty": "RSA", "kid": "1", "use": "sig", "alg": "RS256"}
        return {"keys": [key | {"n": _base64url(self._modulus), "e": "AQAB"}]}

    def answer(self, authorization: str, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """Return a token for the client's own name and secret, and an error for others."""
        named = ":".join(form.get(name, [""])[0] for name in ("client_id", "client_secret"))
        with suppress(ValueError):
            named = base64.b64decode(authorization.removeprefix("Basic ")).decode() or named
        is_grant = form.get("grant_type") == ["client_credentials"]
        if unquote(named) != f"{CLIENT}:{SECRET}" or not is_grant:
            self.refused += 1
            return 401, {"error": "invalid_client"}
        token = self._token()
        self.given.append(token)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": _LIFE_SECONDS}

    def _token(self) -> str:
        now = int(time.time())
        head = {"alg": "RS256", "kid": "1", "typ": "JWT"}
        claims = {"iss": self.url, "sub": CLIENT, "aud": AUDIENCE, "scope": "kafka"}
        claims |= {"iat": now, "exp": now + _LIFE_SECONDS, "jti": f"c4n4ry{len(self.given)}"}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (head, claims))
        signature = _openssl("dgst", "-sha256", "-sign", str(self._key), given=signed.encode())
        return f"{signed}.{_base64url(signature)}"


def _openssl(*arguments: str, given: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *arguments], input=given, check=True, capture_output=True)
    return done.stdout


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
