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
from chinwag.providers.base import ModelInfo, Profile, Request
from chinwag.providers.dialects.base import NO_PROFILE, Dialect, Endpoint, HttpCall
from chinwag.providers.failures import Where
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


class _Stalled(Exception):
    """Nothing of content in time."""


class _Watch:
    """Ends a wait for bytes at a deadline that moves with each piece of content.

    One timer for a whole answer: it looks at the deadline when it goes off, so moving that costs
    nothing, where a time limit round every read would cost more than reading the answer does.
    """

    __slots__ = ("_cancelling", "_hurried", "_loop", "_task", "_timer", "deadline", "expired")

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._hurried = False
        self.expired = False
        self.deadline = self._loop.time() + seconds
        self._timer = self._loop.call_at(self.deadline, self._look)

    def wait(self, seconds: float) -> None:
        """Moves the deadline to ``seconds`` from now."""
        self.deadline = self._loop.time() + seconds
        if self.deadline < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(self.deadline, self._look)

    def hurry(self, seconds: float) -> None:
        """Moves the deadline nearer: at most ``seconds`` from the first time this is said."""
        if not self._hurried:
            self._hurried = True
            self.wait(seconds)

    def begin(self) -> None:
        """Somebody waits for bytes from now on."""
        self._task = task = asyncio.current_task()
        self._cancelling = task.cancelling() if task else 0

    def is_ours(self) -> bool:
        """Whether a cancellation was the deadline's; somebody else's wish goes before ours."""
        task = self._task
        return self.expired and task is not None and task.uncancel() <= self._cancelling

    def end(self) -> None:
        """Nobody waits for bytes any more."""
        self._task = None

    def close(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        if self._task is not None and now >= self.deadline:
            self.expired = True
            self._task.cancel()
            return
        # Late while nobody waits for bytes: the consumer is slow, not the server.
        self._timer = self._loop.call_at(max(self.deadline, now + 0.1), self._look)


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
        self._models: tuple[str, ...] = ()
        self._profiles: dict[str, Profile] = {}

    def __repr__(self) -> str:
        return f"HttpProvider({self.name!r}, {self.endpoint.host!r}, {self.dialect.name!r})"

    async def stream(self, request: Request) -> AsyncGenerator[AnyDelta, None]:
        """The answer, piece by piece, ending with ``Ended``; see base.Provider."""
        endpoint = self.endpoint
        headers = await self._headers()
        where = self._where(request.model)
        profile = self._profiles.get(request.model, NO_PROFILE)
        response = await self._open(
            self.dialect.encode(request, endpoint, profile), headers, where, endpoint.patience
        )
        chunks = _chunks(response)
        reading = Reading(self.dialect, where)
        # The first content may take as long as the first byte: some send their headers at once.
        patience = max(endpoint.stall, endpoint.patience)
        watch = _Watch(patience)
        try:
            while not reading.over:
                said = await _next(chunks, watch, reading)
                for delta in said:
                    yield delta
                if reading.spoke:
                    patience = endpoint.stall
                    watch.wait(patience)
                if reading.finished:
                    watch.hurry(_LINGER)
            if reading.failure is not None:
                raise reading.failure
            await _drained(chunks)
        except _Stalled as error:
            raise failures.stalled(where, patience) from error
        finally:
            watch.close()
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

    async def _told(self, call: HttpCall, model: str) -> Profile:
        try:
            body = await self._fetch(call, model)
            return self.dialect.read_profile(body, self.endpoint, model)
        except ProviderError as error:
            if error.status in (0, 401, 403) or error.may_retry:
                raise
            return NO_PROFILE  # a server without such an address says nothing of its models

    async def _fetch(self, call: HttpCall, model: str = "") -> bytes:
        where = self._where(model)
        headers = await self._headers()
        response = await self._open(call, headers, where, _TIME_OUT)
        chunks = _chunks(response)
        body = bytearray()
        try:
            async with asyncio.timeout(_TIME_OUT):
                async for chunk in chunks:
                    body += chunk
                    if len(body) > WHOLE_CAP:
                        raise failures.too_big(where, f"more than {WHOLE_CAP >> 20} MB")
        except TimeoutError as error:
            raise failures.slow(where, _TIME_OUT) from error
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
        self, call: HttpCall, headers: Mapping[str, str], where: Where, patience: float
    ) -> httpx.Response:
        """The response to ``call``, its body still unread. Anything but 200 is raised."""
        client = await self._ready()
        module = _httpx()
        sent = {"content-type": "application/json"} if call.body else {}
        try:
            request = client.build_request(
                call.method,
                _url(self.endpoint, call.path),
                content=call.body or None,
                headers={**sent, **call.headers, **headers},
            )
            async with asyncio.timeout(self.endpoint.connect + patience):
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

    async def _failure(self, response: httpx.Response, where: Where) -> ProviderError:
        chunks = _chunks(response)
        try:
            body = await _capped(chunks)
            if not packed.is_known(_coding(response)):
                body = b""  # its status says enough
        finally:
            await _closed(response, chunks)
        if response.status_code == 401:
            self._key = ""  # it may be changed meanwhile: look again next time
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
        if not self._key:
            found: str | None = await asyncio.to_thread(endpoint.key)
            self._key = _fit(found or "", endpoint)
        if not self._key:
            if endpoint.needs_key:
                raise KeyMissing(
                    f"there is no key for {endpoint.name}",
                    hint=endpoint.key_hint,
                    endpoint=endpoint.host,
                )
            return dict(endpoint.headers)
        if not (endpoint.is_local or endpoint.base_url.startswith("https:")):
            raise ConfigError(
                f"the key of {endpoint.name} would travel unencrypted to {endpoint.host}",
                hint="use an https:// address; plain http is for this machine only",
                where=f"[providers.{endpoint.name}] base_url",
            )
        return {**endpoint.headers, **self.dialect.auth(self._key)}

    def _where(self, model: str) -> Where:
        return Where(
            self.name, self.endpoint.host, model, self._models, self._key, self.endpoint.key_hint
        )


async def _next(chunks: AsyncIterator[bytes], watch: _Watch, reading: Reading) -> list[AnyDelta]:
    """What the next bytes say, or their end, or their breaking off."""
    watch.begin()
    try:
        chunk = await anext(chunks)
    except StopAsyncIteration:
        return reading.end()
    except asyncio.CancelledError:
        if not watch.is_ours():
            raise
        if reading.finished:
            return reading.end()
        raise _Stalled from None
    except (_httpx().HTTPError, packed.Garbled):
        return reading.end(broken=True)
    finally:
        watch.end()
    return reading.feed(chunk)


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


async def _drained(chunks: AsyncIterator[bytes]) -> None:
    """Reads the few bytes after the terminal sign: a response read to its end keeps its line."""
    left = 65536
    try:
        async with asyncio.timeout(_DRAIN):
            async for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    return
    except (TimeoutError, _httpx().HTTPError, packed.Garbled):
        pass  # the answer is complete: only the connection is lost


async def _closed(response: httpx.Response, chunks: AsyncIterator[bytes]) -> None:
    await chunks.aclose()  # type: ignore[attr-defined]  # httpx's iterators are generators
    await response.aclose()
