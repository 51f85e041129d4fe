"""Certificates are checked, always; authorities come from the usual variable."""

import os
import shutil
import ssl
import subprocess

import pytest

from chinwag.errors import Unreachable
from chinwag.providers import http
from chinwag.providers.base import Request
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.http import HttpProvider
from chinwag.talk.draft import Draft
from chinwag.talk.message import Message
from support.servers import Loopback, Reply, finish, said, sse

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None and os.environ.get("CI") != "true",
    reason="openssl is not installed",
)

ASKED = Request("m", (Message.user("hi"),))
HELLO = sse(said("Hello"), finish())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    order = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    order += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    order += ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(order, check=True, capture_output=True)
    return cert, key


@pytest.fixture
def server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Loopback(Reply(HELLO), tls=context) as playing:
        yield playing


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """A TLS context of this test's own: the process keeps one."""
    monkeypatch.setattr(http, "_tls", [])
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


async def heard(host, port, **more):
    url = f"https://{host}:{port}"
    there = HttpProvider(Endpoint(name="lab", base_url=url, key=lambda: "k", **more), OpenAI())
    draft = Draft()
    try:
        async for delta in there.stream(ASKED):
            draft = draft.add(delta)
    finally:
        await there.aclose()
    return draft.text


async def test_an_unknown_authority_is_refused_and_not_tried_again(server):
    with pytest.raises(Unreachable) as raised:
        await heard("localhost", server.port)
    assert "certificate" in raised.value.message
    assert "SSL_CERT_FILE" in raised.value.hint
    assert not raised.value.may_retry
    assert server.asked == []


async def test_an_authority_of_ones_own_is_taken(server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert await heard("localhost", server.port) == "Hello"


async def test_a_name_that_does_not_fit_is_refused(server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with pytest.raises(Unreachable, match="certificate"):
        await heard("127.0.0.1", server.port)


async def test_a_server_without_tls(monkeypatch):
    with Loopback(Reply(HELLO)) as plain, pytest.raises(Unreachable):
        await heard("localhost", plain.port, connect=0.2)
