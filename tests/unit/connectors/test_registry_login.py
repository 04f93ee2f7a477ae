"""A registry that asks for a login, or has a certificate of its own CA."""

import base64
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from k2.connectors.schema_registry import SchemaRegistry
from k2.errors import UnavailableError
from k2.home.login import registry_address
from k2.settings import Settings
from tests.support.secure_kafka import make_certificates

pytestmark = pytest.mark.unit

LOGINS = {
    "name": (
        {"registry_username": "k2", "registry_password": "p:w"},
        "Basic " + base64.b64encode(b"k2:p:w").decode(),
    ),
    "token": ({"registry_token": "t0k3n"}, "Bearer t0k3n"),
}


class Asks(BaseHTTPRequestHandler):
    """Answers any question with a schema, if it is asked by whom it knows."""

    wanted = ""

    def do_GET(self):
        is_known = self.headers.get("Authorization", "") == self.wanted
        answer = {"schema": '"string"'} if is_known else {"error_code": 401, "message": "who?"}
        body = json.dumps(answer).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Start a server, over TLS when it is given a certificate; return its port."""
    servers = []

    def start(wanted="", certificate=None):
        server = HTTPServer(("127.0.0.1", 0), type("Handler", (Asks,), {"wanted": wanted}))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return server.server_port

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(tmp_path, address, **login):
    settings = Settings.load(home=tmp_path / "home", registry=address, **login)
    return SchemaRegistry(registry_address(settings), attempts=1).schema_by_id(1)


@pytest.mark.parametrize("kind", LOGINS)
def test_a_registry_that_asks_for_a_login_gets_it(serve, tmp_path, kind):
    login, wanted = LOGINS[kind]
    address = f"http://127.0.0.1:{serve(wanted)}"

    assert ask(tmp_path, address, **login) == '"string"'
    with pytest.raises(UnavailableError, match="registry"):
        ask(tmp_path, address)


def test_a_registry_of_ones_own_ca_is_believed_and_no_other(serve, tmp_path):
    make_certificates(tmp_path)
    address = f"https://127.0.0.1:{serve(certificate=tmp_path / 'broker.pem')}"

    assert ask(tmp_path, address, registry_ca_file=tmp_path / "ca.crt") == '"string"'
    with pytest.raises(UnavailableError, match="registry"):
        ask(tmp_path, address, registry_ca_file=tmp_path / "other.crt")
