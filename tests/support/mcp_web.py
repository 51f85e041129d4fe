"""An MCP server at an address on this machine, that can behave as badly as it is told to.

``mode``: "" answers in JSON; sse in a stream; elsewhere redirects to ``target``; near redirects to
another path of its own; packed, long, flood send what they should not; closed is 401; gone forgets
its session after ``gone_after`` requests.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOLS = [
    {
        "name": "echo",
        "description": "Says what was said.",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
    }
]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._plain(405, b"")

    def do_DELETE(self):
        self._plain(200, b"")

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if server.gone:  # a connection that outlived it
            self.close_connection = True
            return
        server.asked.append((body.get("method"), dict(self.headers), self.path))
        mode = server.mode
        if mode == "closed" and self.headers.get("Authorization") != "Bearer token-1":
            self._plain(401, b'{"error": "no"}')
        elif mode == "elsewhere" and body["method"] == "tools/call":
            self._plain(307, b"", Location=server.target)
        elif mode == "near" and self.path == "/mcp":
            self._plain(307, b"", Location="/mcp/")
        elif "id" not in body:
            self._plain(202, b"")
        else:
            self._answer(body, mode)

    def _answer(self, body, mode):
        method, number = body["method"], body["id"]
        if method == "tools/call" and mode in {"packed", "long", "flood"}:
            self._bad(mode, number)
            return
        found = _result(body)
        said = {"jsonrpc": "2.0", "id": number} | (
            {"result": found}
            if found is not None
            else {"error": {"code": -32601, "message": "no such method"}}
        )
        data = json.dumps(said).encode()
        if mode == "sse":
            self._plain(200, b"data: " + data + b"\n\n", kind="text/event-stream")
        else:
            self._plain(200, data)

    def _bad(self, mode, number):
        head = f'{{"jsonrpc": "2.0", "id": {number}, "result": {{"content": [{{"type": "text", '
        whole = head.encode() + b'"text": "'
        if mode == "packed":
            body = gzip.compress(whole + b"0" * (50 << 20) + b'"}]}}')
            self._plain(200, body, **{"Content-Encoding": "gzip"})
            return
        kind = "application/json" if mode == "long" else "text/event-stream"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(whole if mode == "long" else b"")
            line = b": keep waiting\n" * 70_000
            for _ in range(100):
                self.wfile.write(b"0" * (1 << 20) if mode == "long" else line)
        self.close_connection = True

    def _plain(self, status, data, kind="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _result(body):
    params = body.get("params") or {}
    match body["method"]:
        case "initialize":
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "web", "version": "1"},
            }
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            return {"content": [{"type": "text", "text": params["arguments"]["text"]}]}
    return None


@contextlib.contextmanager
def served(mode="", target="", port=0):
    """A server; ``url`` is where it is, ``asked`` are (method, headers, path) of what came."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True
    server.mode, server.target, server.asked, server.gone = mode, target, [], False
    server.url = f"http://127.0.0.1:{server.server_address[1]}/mcp"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.gone = True
        server.shutdown()
        thread.join()
        server.server_close()
