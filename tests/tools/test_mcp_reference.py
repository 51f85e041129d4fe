"""The official reference servers, used through the program's own code.

They are looked for in `node_modules` (server-everything, server-filesystem), beside this Python and
on the PATH (mcp-server-fetch, mcp-server-time).
"""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import os
import shutil
import socket
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the mcp extra is not installed")

from chinwag.tools.mcp.spec import ServerSpec
from support.mcp import PATIENCE, approved
from support.shared import need

ROOT = Path(__file__).parents[2]
NODE = ROOT / "node_modules" / "@modelcontextprotocol"


def node(name, *arguments, folder="/"):
    script = need(NODE / f"server-{name}" / "dist" / "index.js")
    program = need(Path(shutil.which("node") or "/usr/bin/node"))
    return ServerSpec(name=name, command=(str(program), str(script), *arguments), folder=folder)


def python(name, *arguments):
    beside = Path(sys.executable).with_name(f"mcp-server-{name}")
    program = need(beside if beside.exists() else Path(shutil.which(beside.name) or beside))
    return ServerSpec(name=name, command=(str(program), *arguments), folder="/", timeout=PATIENCE)


async def test_time():
    async with approved(python("time", "--local-timezone", "Europe/Lisbon")) as bench:
        result, output = await bench.call("time__get_current_time", {"timezone": "Asia/Tokyo"})
        assert "Asia/Tokyo" in result.content
        assert output.foreign
        result, _ = await bench.call("time__get_current_time", {"timezone": "Moon/Base"})
        assert result.is_error


async def test_fetch():
    page = b"<html><body><h1>Trams</h1><p>Line 28 leaves at 05:40.</p></body></html>"

    class Page(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            found = self.path == "/trams"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page if found else b"")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    environ = {n: v for n, v in os.environ.items() if "proxy" not in n.lower()}
    try:
        spec = python("fetch", "--ignore-robots-txt", "--allow-private-ips")
        async with approved(spec, environ=environ) as bench:
            url = f"http://127.0.0.1:{server.server_address[1]}/trams"
            result, output = await bench.call("fetch__fetch", {"url": url})
            assert "Line 28 leaves at 05:40" in result.content
            assert output.foreign
            result, _ = await bench.call("fetch__fetch", {"url": url + "/none"})
            assert result.is_error
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_filesystem(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "note.txt").write_text("buy bread\n")
    (tmp_path / "secret.txt").write_text("do not read me")
    async with approved(node("filesystem", str(inside), folder=str(inside))) as bench:
        path = str(inside / "note.txt")
        result, _ = await bench.call("filesystem__read_text_file", {"path": path})
        assert result.content == "buy bread\n"
        more = {"path": str(inside / "made.txt"), "content": "hello"}
        result, _ = await bench.call("filesystem__write_file", more)
        assert (inside / "made.txt").read_text() == "hello"
        result, _ = await bench.call(
            "filesystem__read_text_file", {"path": str(tmp_path / "secret.txt")}
        )
        assert result.is_error
        assert "do not read me" not in result.content


async def everything(bench):
    said = []
    result, _ = await bench.call("everything__echo", {"message": "hi"})
    assert result.content == "Echo: hi"
    result, _ = await bench.call("everything__get-sum", {"a": 2, "b": 40})
    assert "42" in result.content
    result, _ = await bench.call("everything__get-tiny-image")
    assert "[image image/png" in result.content
    result, _ = await bench.call("everything__get-structured-content", {"location": "Chicago"})
    assert "temperature" in result.content
    result, _ = await bench.call(
        "everything__trigger-long-running-operation",
        {"duration": 0.3, "steps": 3},
        progress=said.append,
    )
    assert not result.is_error
    assert len(said) == 3
    result, _ = await bench.call("everything__echo", {})
    assert "message is missing" in result.content
    status = bench.status("everything")
    assert status.resources
    parts = await bench.servers.attached("everything", status.resources[0].uri)
    assert parts
    simple = next(p for p in status.prompts if not p.arguments)
    assert await bench.servers.prompt("everything", simple.name, {})


async def test_everything():
    async with approved(node("everything")) as bench:
        await everything(bench)


async def test_everything_at_an_address():
    spec = node("everything", "streamableHttp")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *spec.command,
        env=dict(os.environ) | {"PORT": str(port)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listening(port)
        web = ServerSpec(name="everything", url=f"http://127.0.0.1:{port}/mcp")
        async with approved(web) as bench:
            await everything(bench)
    finally:
        process.terminate()
        await process.wait()


async def _listening(port):
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
