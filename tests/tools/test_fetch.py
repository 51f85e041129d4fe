"""Fetching: what is asked and what is not, and what becomes of a page."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.errors import ToolFailed
from chinwag.talk.message import Call, Result
from chinwag.tools.base import Limits, Scene, Toolbox
from chinwag.tools.builtin.fetch import Asked, Fetch, Page, readable
from chinwag.tools.builtin.getting import get
from contracts.tool import ToolContract

PUBLIC = "93.184.215.14"


class Web:
    """Pages by address, and what was asked of them."""

    def __init__(self, names=None, **pages):
        self.names = names or {}
        self.pages = pages
        self.asked: list[Asked] = []

    async def __call__(self, asked):
        self.asked.append(asked)
        return self.pages.get(asked.host.replace(".", "_"), Page(status=200, type="text/plain"))

    async def resolve(self, host, port):
        found = self.names.get(host, [PUBLIC])
        if found is None:
            raise socket.gaierror
        return found


async def fetched(web, url, **more):
    box = Toolbox([Fetch(web, resolver=web.resolve, **more)])
    ready = box.check(Call("1", "fetch", json.dumps({"url": url})))
    if isinstance(ready, Result):
        return ready
    return (await box.run(ready, Scene(root="/", limits=Limits(seconds=5))))[0]


class TestFetch(ToolContract):
    def make(self, root):
        page = Page(status=200, type="text/plain", body=b"x" * 5000)
        web = Web(example_org=page)
        return Fetch(web, resolver=web.resolve)

    def good(self):
        return [{"url": "https://example.org"}, {"url": "http://example.org/a?b=c"}]

    def bad(self):
        return [{"url": "file:///etc/passwd"}, {"url": "example.org"}, {"url": 3}]


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.org", "//example.org", "http://", "javascript:1"),
        *("http://user@example.org", "http://u:p@example.org/", "http://example.org:x/"),
        *(
            "http://exa mple.org",
            "http://example.org/a\nb",
            "http://example.org\r\nHost: x",
            "http://[::1",
        ),
    ],
)
async def test_what_is_no_address_of_the_web_is_not_asked(url):
    result = await fetched(web := Web(), url)
    assert result.is_error
    assert web.asked == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "not an address"),
    ],
)
async def test_what_lies_inside_is_not_asked(address):
    for found in ([address], [PUBLIC, address]):
        result = await fetched(web := Web({"inner.example": found}), "http://inner.example/")
        assert "lies inside" in result.content
        assert web.asked == []


async def test_an_address_written_another_way_is_still_inside():
    for host in ("127.1", "0x7f.1", "2130706433", "localhost", "[::1]", "[::ffff:7f00:1]"):
        box = Toolbox([Fetch(web := Web())])  # the real resolver
        ready = box.check(Call("1", "fetch", json.dumps({"url": f"http://{host}:9/"})))
        result, _ = await box.run(ready, Scene(root="/", limits=Limits(seconds=5)))
        assert result.is_error
        assert web.asked == []


async def test_the_connection_goes_to_the_address_that_was_looked_at():
    web = Web(example_org=Page(status=200, type="text/plain; charset=latin-1", body=b"caf\xe9"))
    result = await fetched(web, "https://EXAMPLE.org:8443/a#part")
    assert result.content == (
        "[https://example.org:8443/a: status 200, text/plain; charset=latin-1]\ncafé"
    )
    asked = web.asked[0]
    assert (asked.address, asked.port, asked.host) == (PUBLIC, 8443, "example.org")


async def test_redirects_are_looked_at_again():
    inner = Page(status=302, location="http://inner.example/secret")
    web = Web({"inner.example": ["10.0.0.1"]}, example_org=inner)
    result = await fetched(web, "https://example.org")
    assert "inner.example lies inside" in result.content
    assert len(web.asked) == 1
    web = Web(a_org=Page(status=301, location="https://b.org/x"), b_org=Page(status=200, body=b"b"))
    result = await fetched(web, "http://a.org")
    assert result.content.startswith("[http://a.org/ (redirected to https://b.org/x): status 200")
    loop = Web(a_org=Page(status=301, location="/again"))
    assert "more than 5 times" in (await fetched(loop, "http://a.org")).content
    away = Web(a_org=Page(status=302, location="file:///etc/passwd"))
    assert (await fetched(away, "http://a.org")).is_error


async def test_a_name_that_is_shown_in_its_plain_letters():
    box = Toolbox([Fetch(Web())])
    ready = box.check(Call("1", "fetch", json.dumps({"url": "http://ехаmple.org/ä"})))
    assert ready.arguments["url"] == "http://xn--mple-43d3a6i.org/%C3%A4"


async def test_an_unknown_name_an_error_page_and_a_picture():
    said = await fetched(Web({"x.org": None}), "http://x.org")
    assert said.content == "Error: no address is known for x.org"
    web = Web(x_org=Page(status=404, type="text/plain", body=b"gone"))
    said = await fetched(web, "http://x.org")
    assert said.is_error
    assert said.content.endswith("gone")
    web = Web(x_org=Page(status=200, type="image/png", body=b"\x89PNG\0"))
    assert (await fetched(web, "http://x.org")).content.endswith("(binary, 5 bytes)")
    web = Web(x_org=Page(status=200, type="text/plain", body=b"much", cut=True))
    assert (await fetched(web, "http://x.org")).content.endswith("much\n[… the page goes on …]")


def test_a_page_becomes_its_words():
    html = """<html><head><title> A  page </title><style>p{}</style></head><body>
    <script>evil()</script><h1>Head</h1><p>One <b>two</b> <a href="/x?y=1">three</a>.</p>
    <ul><li>a<li>b</ul><noscript>no</noscript><p>caf&eacute; &lt;b&gt;</p><a href="#top">up</a>"""
    assert readable(html, "https://e.org/p/") == (
        "A page\n\nHead\nOne two three <https://e.org/x?y=1>.\n- a\n- b\ncafé <b>\nup"
    )


@given(st.text("<>/abptisclr!-= \"'&;", max_size=120))
def test_every_text_is_a_page(html):
    assert isinstance(readable(html, "http://e.org"), str)


# --- the one that goes out ------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/there")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"x" * 5000)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.seen = []
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


async def test_a_get(server):
    port = server.server_address[1]
    url = f"http://some.example:{port}/a?b"
    asked = Asked(url=url, host="some.example", address="127.0.0.1", port=port, seconds=5, most=100)
    page = await get(asked)
    assert (page.status, page.type, len(page.body), page.cut) == (200, "text/plain", 100, True)
    path, headers = server.seen[0]
    assert path == "/a?b"
    assert headers["Host"] == f"some.example:{port}"
    assert headers.keys() == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}


async def test_a_redirect_is_not_followed_by_itself(server):
    port = server.server_address[1]
    asked = Asked(url="http://h/away", host="h", address="127.0.0.1", port=port, seconds=5)
    page = await get(asked)
    assert (page.status, page.location) == (302, "/there")
    assert len(server.seen) == 1


async def test_a_host_that_was_let_in(server):
    port = server.server_address[1]
    box = Toolbox([Fetch(get, inside=(f"localhost:{port}",))])
    ready = box.check(Call("1", "fetch", json.dumps({"url": f"http://localhost:{port}/away"})))
    result, output = await box.run(ready, Scene(root="/", limits=Limits(seconds=5)))
    assert "status 200" in result.content
    assert output.foreign


async def test_nobody_answers():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    asked = Asked(url="https://h/", host="h", address="127.0.0.1", port=port, seconds=1)
    with pytest.raises(ToolFailed, match="h did not answer"):
        await get(asked)
