"""The one transport for every dialect, and the only file that imports httpx.

Invariants: the key goes into a header and nowhere else, never over plain http to another machine,
and never along a redirect, since none is followed. Certificates are always checked. Only content
feeds the stall timer. Leaving the iterator, by whatever way, closes the connection at once. An
answer that ends without its terminal sign raises ``StreamBroken``.

httpx and the TLS context take 50-130 ms to make: both are made in a thread, once, by ``prepare``.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chinwag.errors import ConfigError, KeyMissing, ProviderError
from chinwag.providers import failures, packed
from chinwag.providers.base import Leave, ModelInfo, Profile, Request, Warming, at_once
from chinwag.providers.dialects.base import NO_PROFILE, Counting, Dialect, Endpoint, HttpCall
from chinwag.providers.failures import Where
from chinwag.providers.gathering import Gathering
from chinwag.providers.reading import WHOLE_CAP, Reading, is_crowded
from chinwag.talk.delta import AnyDelta

if TYPE_CHECKING:
    import httpx

AGENT: Final = "chinwag"
_LINGER: Final = 5.0
"""Seconds to wait for usage and the terminal sign, once the answer itself is all there."""
_DRAIN: Final = 0.25
"""Seconds to wait for the last bytes after the terminal sign, so that the connection is kept."""
_SLEPT: Final = 30.0
"""Seconds the wall clock may run ahead: more means the machine slept and connections are dead."""
_TIME_OUT: Final = 20.0
"""Seconds for a question about models."""
_ERROR_CAP: Final = 1024 * 1024

_lock: Final = threading.Lock()
_tls: list[ssl.SSLContext] = []


def prepare(*, tls: bool = True) -> None:
    """Imports httpx and, unless ``tls`` is false, builds the TLS context. Call it in a thread."""
    with _lock:
        module = _httpx()
        _imported_below()
        if tls and not _tls:
            # trust_env: SSL_CERT_FILE and SSL_CERT_DIR name the authorities, else certifi's.
            _tls.append(module.create_ssl_context(trust_env=True))


def _httpx() -> Any:
    if (module := sys.modules.get("httpx")) is not None and hasattr(module, "AsyncClient"):
        return module
    return _imported()


def _imported() -> ModuleType:
    """httpx without its command line, which drags in click and rich where they are installed."""
    guarded = "httpx._main" not in sys.modules
    if guarded:
        # A None there makes the import fail, which httpx's own __init__ expects and survives.
        sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("httpx")
    finally:
        if guarded:
            sys.modules.pop("httpx._main", None)


def _imported_below() -> None:
    """What httpx itself would import at the first request, stopping the loop for 60 ms."""
    try:
        importlib.import_module("anyio._backends._asyncio")
    except ImportError:
        pass  # another release keeps it elsewhere: then the first request pays for it


class _Gate:
    """Holds a request back, otherwise ready, until it may leave.

    httpcore tells of each step of sending, and waits for the telling. That is no promise that every
    transport keeps, so the body, which holds what was said, waits for itself besides.
    """

    __slots__ = ("_leave", "_limit")

    def __init__(self, leave: Leave, limit: asyncio.Timeout) -> None:
        self._leave = leave
        self._limit = limit

    async def told(self, step: str, about: Mapping[str, Any]) -> None:
        """What httpcore calls at each step."""
        del about
        if step.endswith("send_request_headers.started"):
            await self._opened()

    async def body(self, content: bytes) -> AsyncIterator[bytes]:
        await self._opened()
        yield content

    async def _opened(self) -> None:
        if self._leave is at_once:
            return
        # The time this takes is not the server's: its own begins anew.
        until, began = self._limit.when(), time.monotonic()
        self._limit.reschedule(None)
        await self._leave()
        self._leave = at_once
        if until is not None:
            self._limit.reschedule(until + time.monotonic() - began)


class HttpProvider:
    """Answers from one endpoint in one dialect. One warm client, made when it is first needed."""

    def __init__(self, endpoint: Endpoint, dialect: Dialect) -> None:
        self.name = endpoint.name
        self.endpoint = endpoint
        self.dialect = dialect
        self._client: httpx.AsyncClient | None = None
        self._made_for: asyncio.AbstractEventLoop | None = None
        self._ahead = 0.0
        self._key = ""
        self._keyless = False
        self._urls: dict[str, httpx.URL] = {}
        self._models: tuple[str, ...] = ()
        self._profiles: dict[str, Profile] = {}

    def __repr__(self) -> str:
        return f"HttpProvider({self.name!r}, {self.endpoint.host!r}, {self.dialect.name!r})"

    async def stream(
        self, request: Request, leave: Leave = at_once
    ) -> AsyncGenerator[AnyDelta, None]:
        """The answer, piece by piece, ending with ``Ended``; see base.Provider."""
        endpoint = self.endpoint
        headers = await self._headers()
        where = self._where(request.model)
        profile = self._profiles.get(request.model, NO_PROFILE)
        response = await self._open(
            self.dialect.encode(request, endpoint, profile),
            headers,
            where,
            endpoint.patience,
            leave,
        )
        reading = Reading(self.dialect, where)
        # The first content may take as long as the first byte: some send their headers at once.
        patience = max(endpoint.stall, endpoint.patience)
        chunks = _chunks(response)
        gathering = Gathering(chunks, (_httpx().HTTPError, packed.Garbled), patience)
        try:
            while not reading.over:
                if data := await gathering.take():
                    said = reading.feed(data)
                elif gathering.expired and not reading.finished:
                    raise failures.stalled(where, patience)
                else:
                    said = reading.end(broken=gathering.broken)
                for delta in said:
                    yield delta
                if reading.spoke:
                    patience = endpoint.stall
                    gathering.wait(patience)
                if reading.finished:
                    gathering.hurry(_LINGER)
            if reading.failure is not None:
                raise reading.failure
            await _drained(gathering)
        finally:
            await gathering.close()
            await _closed(response, chunks)

    async def models(self) -> list[ModelInfo]:
        """What the server says can be named; remembered, to suggest near names."""
        body = await self._fetch(self.dialect.models_call(self.endpoint))
        found = self.dialect.read_models(body, self.endpoint)
        self._models = tuple(info.name for info in found)
        return found

    async def profile(self, model: str) -> Profile:
        """What the server says of ``model``; remembered, and empty where it says nothing."""
        if model in self._profiles:
            return self._profiles[model]
        call = self.dialect.profile_call(model, self.endpoint)
        told = NO_PROFILE
        if call is not None:
            told = await self._told(call, model)
        profile = _configured(told, self.endpoint)
        self._profiles[model] = profile
        return profile

    async def count(self, request: Request) -> int | None:
        """Tokens of ``request`` as the server counts them; see base.Counts."""
        dialect, endpoint = self.dialect, self.endpoint
        if not isinstance(dialect, Counting):
            return None
        try:
            body = await self._fetch(dialect.template_call(request, endpoint), request.model)
            text = dialect.read_template(body, endpoint)
            body = await self._fetch(dialect.tokens_call(text), request.model)
            return dialect.read_tokens(body, endpoint)
        except ProviderError as error:
            if error.status in (0, 401, 403) or error.may_retry:
                raise
            return None  # a server without such addresses, or a template that does not take it

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def check(self) -> None:
        """Raises KeyMissing or ConfigError where no request could be made; asks no server."""
        await self._headers()

    async def warm(self) -> None:
        """Makes the client ready, so that the first request need not wait for that."""
        await self._ready()

    def warming(self) -> Warming:
        """What this server can be asked to keep; see base.Warms."""
        from chinwag.providers.warm import ByAddress

        return ByAddress(self)

    async def _told(self, call: HttpCall, model: str) -> Profile:
        try:
            body = await self._fetch(call, model)
            return self.dialect.read_profile(body, self.endpoint, model)
        except ProviderError as error:
            if error.status in (0, 401, 403) or error.may_retry:
                raise
            return NO_PROFILE  # a server without such an address says nothing of its models

    async def ask(self, call: HttpCall, model: str = "", patience: float = _TIME_OUT) -> bytes:
        """The answer to ``call``, beside any talk, within ``patience`` seconds.

        Raises ProviderError's family.
        """
        return await self._fetch(call, model, patience)

    async def _fetch(self, call: HttpCall, model: str = "", patience: float = _TIME_OUT) -> bytes:
        where = self._where(model)
        headers = await self._headers()
        response = await self._open(call, headers, where, patience)
        chunks = _chunks(response)
        body = bytearray()
        try:
            async with asyncio.timeout(patience):
                async for chunk in chunks:
                    body += chunk
                    if len(body) > WHOLE_CAP:
                        raise failures.too_big(where, f"more than {WHOLE_CAP >> 20} MB")
        except TimeoutError as error:
            raise failures.slow(where, patience) from error
        except (_httpx().HTTPError, packed.Garbled) as error:
            raise failures.from_exception(error, where, begun=True) from error
        finally:
            await _closed(response, chunks)
        if body.lstrip()[:1] == b"<":
            raise failures.html(bytes(body), where)
        if is_crowded(body):
            raise failures.senseless(where)
        return bytes(body)

    async def _open(
        self,
        call: HttpCall,
        headers: Mapping[str, str],
        where: Where,
        patience: float,
        leave: Leave = at_once,
    ) -> httpx.Response:
        """The response to ``call``, its body still unread. Anything but 200 is raised."""
        client = await self._ready()
        module = _httpx()
        try:
            async with asyncio.timeout(self.endpoint.connect + patience) as limit:
                gate = _Gate(leave, limit)
                request = self._built(client, call, headers, gate)
                response = await client.send(request, stream=True)
        except TimeoutError as error:
            raise failures.slow(where, patience) from error
        except (module.HTTPError, module.InvalidURL) as error:
            raise failures.from_exception(error, where) from error
        if response.status_code != 200:
            raise await self._failure(response, where)
        if packed.is_known(coding := _coding(response)):
            return response
        await response.aclose()
        raise failures.packed(where, coding)

    def _built(
        self, client: httpx.AsyncClient, call: HttpCall, headers: Mapping[str, str], gate: _Gate
    ) -> httpx.Request:
        url = self._urls.get(call.path)
        if url is None:
            url = self._urls[call.path] = _httpx().URL(_url(self.endpoint, call.path))
        sent = {}
        if call.body:  # its size is said, or it would travel in pieces
            sent = {"content-type": "application/json", "content-length": str(len(call.body))}
        return client.build_request(
            call.method,
            url,
            content=gate.body(call.body) if call.body else None,
            headers={**sent, **call.headers, **headers},
            extensions={"trace": gate.told},
        )

    async def _failure(self, response: httpx.Response, where: Where) -> ProviderError:
        chunks = _chunks(response)
        try:
            body = await _capped(chunks)
            if not packed.is_known(_coding(response)):
                body = b""  # its status says enough
        finally:
            await _closed(response, chunks)
        if response.status_code == 401:
            self._key, self._keyless = "", False  # it may be changed meanwhile: look again
        return failures.from_status(response.status_code, response.headers, body, where)

    async def _ready(self) -> httpx.AsyncClient:
        """The client: made anew for another event loop, and after the machine slept."""
        loop = asyncio.get_running_loop()
        ahead = time.time() - time.monotonic()
        client = self._client
        if client is not None and self._made_for is loop and ahead - self._ahead < _SLEPT:
            return client
        if client is not None and self._made_for is loop:
            await client.aclose()
        secure = self.endpoint.base_url.startswith("https:")
        if "httpx" not in sys.modules or (secure and not _tls):
            await asyncio.to_thread(prepare, tls=secure)
        self._client, self._made_for, self._ahead = self._make(secure=secure), loop, ahead
        return self._client

    def _make(self, *, secure: bool) -> httpx.AsyncClient:
        module = _httpx()
        # Over plain http there is nothing to verify; this context trusts nobody, and is made at
        # once, where the real one costs 20-70 ms.
        context = _tls[0] if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client: httpx.AsyncClient = module.AsyncClient(
            verify=context,
            follow_redirects=False,
            # A proxy cannot reach this machine's own loopback.
            trust_env=not self.endpoint.is_local,
            # One timer for the whole answer, ours, instead of one for every read.
            timeout=module.Timeout(30.0, connect=self.endpoint.connect, read=None),
            limits=module.Limits(max_keepalive_connections=4, keepalive_expiry=240.0),
            headers={"user-agent": AGENT, "accept-encoding": "identity"},
        )
        return client

    async def _headers(self) -> dict[str, str]:
        endpoint = self.endpoint
        if not (self._key or self._keyless):
            found: str | None = await asyncio.to_thread(endpoint.key)
            self._key = _fit(found or "", endpoint)
        if not self._key:
            if endpoint.needs_key:
                raise KeyMissing(
                    f"there is no key for {endpoint.name}",
                    hint=endpoint.key_hint,
                    endpoint=endpoint.host,
                )
            self._keyless = True
            return dict(endpoint.headers)
        encrypted = endpoint.is_local or endpoint.base_url.startswith("https:")
        if not (encrypted or endpoint.insecure):
            raise ConfigError(
                f"the key of {endpoint.name} would travel unencrypted to {endpoint.host}",
                hint="use an https:// address, or set insecure = true if that network is yours",
                where=f"[providers.{endpoint.name}] base_url",
            )
        return {**endpoint.headers, **self.dialect.auth(self._key)}

    def _where(self, model: str) -> Where:
        return Where(
            self.name, self.endpoint.host, model, self._models, self._key, self.endpoint.key_hint
        )


def _fit(key: str, endpoint: Endpoint) -> str:
    """The key without the blanks a file or a command leaves around it."""
    key = key.strip()
    if key.isascii() and key.isprintable():
        return key
    raise ConfigError(
        f"the key of {endpoint.name} holds characters no header may carry",
        hint="it may be cut, or hold an invisible character: set it anew",
        where=f"[providers.{endpoint.name}] key",
    )


def _configured(told: Profile, endpoint: Endpoint) -> Profile:
    """What configuration says of every model here wins over what the server says."""
    return msgspec.structs.replace(
        told,
        window=endpoint.window or told.window,
        max_output=endpoint.max_output or told.max_output,
    )


def _url(endpoint: Endpoint, path: str) -> str:
    """The address of ``path``; one that begins with ``//`` counts from the server's root."""
    base = endpoint.base_url.rstrip("/")
    if path.startswith("//"):
        scheme, _, rest = base.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}{path[1:]}"
    return base + path


def _coding(response: httpx.Response) -> str:
    return packed.coding_of(response.headers.get("content-encoding", ""))


def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body, plain. httpx would unpack 64 KB to 64 MB at once; we do it piece by piece.

    The stream itself, not `aiter_raw`, whose book-keeping costs a tenth of reading an answer.
    """
    stream: Any = response.stream  # of an async client: an async one
    raw: AsyncIterator[bytes] = aiter(stream)
    coding = _coding(response)
    if not coding or not packed.is_known(coding):
        return raw
    return _unpacked(raw, coding)


async def _unpacked(raw: AsyncIterator[bytes], coding: str) -> AsyncGenerator[bytes, None]:
    unpacking = packed.Unpacking(coding)
    try:
        async for chunk in raw:
            for piece in unpacking.feed(chunk):
                yield piece
                await asyncio.sleep(0)  # a few bytes may hold much: others get their turn
    finally:
        await raw.aclose()  # type: ignore[attr-defined]  # httpx's iterators are generators


async def _capped(chunks: AsyncIterator[bytes]) -> bytes:
    """An error's body, as far as it comes within reason: its status has said the main thing."""
    body = bytearray()
    try:
        async with asyncio.timeout(5.0):
            async for chunk in chunks:
                body += chunk
                if len(body) > _ERROR_CAP:
                    break
    except (TimeoutError, _httpx().HTTPError, packed.Garbled):
        pass  # half an error body is better than none
    return bytes(body[:_ERROR_CAP])


async def _drained(gathering: Gathering) -> None:
    """Reads the few bytes after the terminal sign: a response read to its end keeps its line."""
    gathering.wait(_DRAIN)
    left = 65536
    while left >= 0 and (data := await gathering.take()):
        left -= len(data)


async def _closed(response: httpx.Response, chunks: AsyncIterator[bytes]) -> None:
    await chunks.aclose()  # type: ignore[attr-defined]  # httpx's iterators are generators
    await response.aclose()
