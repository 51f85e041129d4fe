"""Statuses, error bodies and broken connections, to our errors; pure.

Invariants: an error is judged by its status and by the type and code the server gave it; its words
are looked at only to tell kinds of 400 and 404 apart, never to guess a bad key. Messages name the
server a person chose and say one thing; hints say what to do. The exact key in use never appears,
whoever wrote it into the text.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from chinwag.errors import (
    GOES_ON,
    BadRequest,
    ContextOverflow,
    KeyRefused,
    ModelUnknown,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    StreamBroken,
    Unreachable,
    nearest,
)
from chinwag.providers.error_bodies import (
    Said,
    digits,
    read_body,
    read_object,
    retry_after,
    title_of,
)

Body = dict[str, Any]

RETRIED: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses worth another try (reliability.md, section 5)."""

_NO_CREDIT: Final = frozenset(
    {"insufficient_quota", "billing_error", "billing_hard_limit_reached", "insufficient_balance"}
)
_POLICY: Final = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "responsibleaipolicyviolation",
        "moderation_blocked",
        "prohibited_content",
        "safety",
    }
)
_OVERFLOW: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})
# Patterns stay text until the first failure: compiling them costs more than most imports.
_NO_MODEL: Final = (
    r"(?is)\bmodels?\b.{0,120}?\b(?:not found|does not exist|unknown|is not supported for)"
    r"|^model: |(?:unknown|invalid|no such) model"
)
_TOO_LONG: Final = (
    r"(?i)prompt is too long|maximum context length|context[ _](?:window|size|length)"
    r"|input token count.{0,40}exceeds|input is too long|reduce the length of the"
    r"|too many (?:input )?tokens"
)
# (asked, limit) as the vendors write it; the first that fits is taken.
_COUNTS: Final = (
    r"(?P<asked>[\d,]+) tokens? > (?P<limit>[\d,]+)",
    r"length is (?P<limit>[\d,]+).*?(?:requested|resulted in|has)\D{1,12}(?P<asked>[\d,]+)",
    r"input token count \(?(?P<asked>[\d,]+)\)? exceeds.*?\(?(?P<limit>[\d,]+)\)?\.?$",
    r"\((?P<asked>[\d,]+) tokens?\) exceeds.*?\((?P<limit>[\d,]+) tokens?\)",
    r"\((?P<asked>[\d,]+)\).*?context (?:size|window|length).*?\((?P<limit>[\d,]+)\)",
    r"maximum context length (?:is|of) (?P<limit>[\d,]+)",
)
_TELLING: Final = 6
"""The fewest characters of a key that tell something of it."""
_SURE: Final = 12
"""From so many characters on, what looks like the key can be nothing else. A shorter one may be a
word that somebody put where a server wants none (`ollama`, `none`): see ``_clean``."""


class Where(msgspec.Struct, frozen=True):
    """Whom we asked for what. ``models`` are names known to exist; ``secret`` is never shown."""

    provider: str
    endpoint: str
    model: str = ""
    models: tuple[str, ...] = ()
    secret: str = ""
    key_hint: str = ""

    def __repr__(self) -> str:
        return f"Where({self.provider!r}, {self.endpoint!r}, {self.model!r})"


def from_status(
    status: int, headers: Mapping[str, str], body: bytes, where: Where, now: datetime | None = None
) -> ProviderError:
    """The error which an HTTP answer other than 200 means. ``headers`` has lower-case names."""
    said = read_body(body)
    wait = retry_after(headers, now)
    said = msgspec.structs.replace(
        said,
        wait=said.wait if wait is None else wait,
        request_id=headers.get("x-request-id") or headers.get("request-id") or said.request_id,
    )
    if 300 <= status < 400:
        return _redirect(status, headers.get("location", ""), where)
    return _judge(status, said, where)


def from_object(error: object, where: Where) -> ProviderError:
    """The error which an object inside a stream, or a body with status 200, means."""
    said = read_object(error)
    if not said.status:
        text = said.text or "no reason given"
        return StreamBroken(
            _clean(f"{where.endpoint} broke the answer off: {text}", where),
            hint="/retry asks again",
            **_common(where, 0, said),
        )
    return _judge(said.status, said, where)


def _broken(where: Where, sentence: str, hint: str) -> StreamBroken:
    """What is wrong with an answer whose status was well."""
    return StreamBroken(sentence, hint=hint, **_common(where, 200, Said()))


def html(body: bytes, where: Where) -> ProviderError:
    """A web page where an answer was due: a portal, a proxy, or the wrong address."""
    title = title_of(body)
    about = f" titled “{title}”" if title else ""
    return _broken(
        where,
        _clean(f"{where.endpoint} answered with a web page{about}, not with an answer", where),
        "check base_url; a proxy or a network's login page may stand in between",
    )


def empty(where: Where) -> ProviderError:
    return _broken(
        where,
        f"{where.endpoint} answered nothing at all",
        "/retry asks again; some servers answer so when the conversation outgrew their window",
    )


def no_answer(where: Where) -> ProviderError:
    """JSON, but not what an answer looks like in this dialect."""
    return _broken(
        where,
        f"{where.endpoint} sent something that is no answer",
        "check that base_url and dialect belong together",
    )


def cut(where: Where) -> ProviderError:
    return _broken(
        where,
        f"the answer from {where.endpoint} was cut off before its end",
        f"/retry asks again{GOES_ON}",
    )


def stalled(where: Where, seconds: float) -> ProviderError:
    return _broken(
        where,
        f"{where.endpoint} has sent no piece of the answer for {seconds:g} s",
        f"/retry asks again{GOES_ON}",
    )


def contentless(where: Where, events: int) -> ProviderError:
    return _broken(
        where,
        f"{where.endpoint} sent {events:,} events without a word in them",
        "/retry asks again",
    )


def too_big(where: Where, what: str) -> ProviderError:
    return _broken(
        where,
        f"{where.endpoint} sent {what}, more than is worth reading",
        "check that base_url is a model server's",
    )


def slow(where: Where, seconds: float) -> ProviderError:
    """No answer has begun. Not tried again by itself: the server may still be at work on it."""
    return _final(
        Unreachable(
            f"{where.endpoint} has not begun to answer within {seconds:g} s",
            hint="it may still be loading the model or reading the prompt: /retry asks again",
            **_common(where, 0, Said()),
        )
    )


def packed(where: Where, coding: str) -> ProviderError:
    """Bytes in a form that was not asked for and is not read here."""
    return _broken(
        where,
        f"{where.endpoint} answered in packed form ({coding[:20]}), though plain bytes were asked",
        "a proxy in between may pack answers: tell it not to touch this server's",
    )


def given_up(where: Where, reason: str) -> ProviderError:
    """The server closed the answer properly, and said that it is not a whole one."""
    return _broken(
        where,
        _clean(f"{where.endpoint} gave the answer up ({reason[:40]})", where),
        f"/retry asks again{GOES_ON}",
    )


def senseless(where: Where) -> ProviderError:
    """JSON that parses nowhere: nested or numbered beyond all reason."""
    return _broken(
        where,
        f"{where.endpoint} sent something that cannot be read",
        "check that base_url is a model server's",
    )


def from_exception(error: BaseException, where: Where, *, begun: bool = False) -> ProviderError:
    """A transport's exception, by its name: this room does not import the transport.

    ``begun`` says that the answer had begun to come in.
    """
    if begun:
        return cut(where)
    causes = list(_causes(error))
    common = _common(where, 0, Said())
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause, where, common)
    if "location header" in str(error).lower():  # the transport looks at it, though nobody goes
        return _redirect(0, "", where)
    if any(isinstance(c, socket.gaierror) for c in causes):
        return Unreachable(
            f"no address is known for {where.endpoint}",
            hint="check base_url for a typing mistake, and the network",
            **common,
        )
    if any(isinstance(c, ConnectionRefusedError) for c in causes):
        return Unreachable(
            f"{where.endpoint} refuses connections",
            hint="is the server running? base_url says where it is looked for",
            **common,
        )
    names = {c.__name__ for c in type(error).__mro__}
    for name, sentence, hint, again in _TRANSPORT:
        if name in names:
            made = Unreachable(sentence.format(where.endpoint), hint=hint, **common)
            return made if again else _final(made)
    return Unreachable(
        _clean(f"{where.endpoint} cannot be reached: {str(error) or type(error).__name__}", where),
        hint="check the network and base_url",
        **common,
    )


def _untrusted(cause: ssl.SSLCertVerificationError, where: Where, common: Body) -> ProviderError:
    # The attribute is there only where OpenSSL itself said so.
    why = getattr(cause, "verify_message", "") or str(cause)
    return _final(
        Unreachable(
            f"the certificate of {where.endpoint} is not trusted: {why}",
            hint="SSL_CERT_FILE names the authorities to trust; check the clock, too",
            **common,
        )
    )


_TRANSPORT: Final = (
    ("ConnectTimeout", "{} does not take connections", "check the network and base_url", True),
    ("PoolTimeout", "too many requests to {} are under way", "wait for one to end", True),
    ("ProxyError", "the proxy refuses to reach {}", "see HTTPS_PROXY and NO_PROXY", False),
    ("ReadTimeout", "{} took too long to answer", "/retry asks again", False),
    ("WriteTimeout", "{} takes the request too slowly", "/retry asks again", False),
    ("UnsupportedProtocol", "{} is no http address", "base_url begins with https://", False),
    ("InvalidURL", "{} is no address", "base_url begins with https://", False),
    ("RemoteProtocolError", "{} hung up without an answer", "/retry asks again", True),
    ("ReadError", "the connection to {} broke", "/retry asks again", True),
    ("WriteError", "the connection to {} broke", "/retry asks again", True),
    ("CloseError", "the connection to {} broke", "/retry asks again", True),
    ("ConnectError", "{} cannot be reached", "check the network and base_url", True),
)


def _judge(status: int, said: Said, where: Where) -> ProviderError:
    common = _common(where, status, said)
    if _is_overflow(status, said):
        return _overflow(said, where, common)
    if said.kinds & _NO_CREDIT or status == 402 or _is_broke(status, said):
        return RateLimited(
            _says(f"{where.provider} gives no more credit", said, where),
            hint="look at the account's billing, or choose another model with /model",
            out_of_credit=True,
            **common,
        )
    if status in (401, 403) or "api_key_invalid" in said.kinds:
        return _refused_key(said, where, common)
    if _is_unknown_model(status, said):
        return _unknown_model(where, common)
    if said.kinds & _POLICY:
        return Refused(
            _says(f"{where.provider} refused by its policy", said, where),
            hint="say it differently, or choose another model with /model",
            **common,
        )
    if status == 429:
        return RateLimited(
            _says(f"{where.provider} asks to slow down", said, where),
            hint="wait a little, or choose another model with /model",
            wait=said.wait,
            **common,
        )
    if status in RETRIED or status >= 500:
        made = Overloaded(
            _says(f"{where.endpoint} cannot answer now ({status})", said, where),
            hint="/retry asks again",
            wait=said.wait,
            **common,
        )
        return made if status in RETRIED else _final(made)
    return _bad_request(status, said, where, common)


def _bad_request(status: int, said: Said, where: Where, common: Body) -> ProviderError:
    if status == 413:
        return BadRequest(
            _says(f"what was sent is too large for {where.provider}", said, where),
            hint="send smaller files or pictures, or /compact",
            **common,
        )
    if status in (404, 405):
        return BadRequest(
            _says(f"{where.endpoint} does not know this address ({status})", said, where),
            hint="check base_url and dialect: most addresses end with /v1",
            **common,
        )
    return BadRequest(
        _says(f"{where.provider} did not accept the request ({status})", said, where),
        hint="the sentence above is the server's; /set shows the options that are sent"
        if said.text
        else "it does not say why: check base_url and dialect; /set shows what options are sent",
        **common,
    )


def _refused_key(said: Said, where: Where, common: Body) -> ProviderError:
    what = "did not accept the key" if where.secret else "wants a key"
    return KeyRefused(
        _says(f"{where.provider} {what}", said, where),
        hint=where.key_hint or f"set `key` in [providers.{where.provider}]",
        **common,
    )


def _unknown_model(where: Where, common: Body) -> ProviderError:
    near = nearest(where.model, where.models)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif where.provider == "ollama":
        hint = f"`ollama pull {where.model}` fetches it; `chat models` lists what is there"
    else:
        hint = "`chat models` lists what can be named"
    return ModelUnknown(
        f"{where.provider} has no model named {where.model}", near=near, hint=hint, **common
    )


def _overflow(said: Said, where: Where, common: Body) -> ProviderError:
    asked, limit = said.asked, said.limit
    if not limit:
        asked, limit = _counts(said.text)
    numbers = f" ({asked:,} tokens of {limit:,})" if asked and limit else ""
    return ContextOverflow(
        f"the conversation is longer than {where.model or 'the model'} can read{numbers}",
        hint="/compact makes it shorter; so does /trim",
        limit=limit,
        asked=asked,
        **common,
    )


def _counts(text: str) -> tuple[int, int]:
    for pattern in _COUNTS:
        if found := re.search(pattern, text, re.IGNORECASE | re.DOTALL):
            groups = found.groupdict()
            return digits(groups.get("asked")), digits(groups["limit"])
    return 0, 0


def _is_overflow(status: int, said: Said) -> bool:
    if said.kinds & _OVERFLOW:
        return True
    return status in (400, 413, 422, 500) and bool(re.search(_TOO_LONG, said.text))


def _is_broke(status: int, said: Said) -> bool:
    # Anthropic says this one with a plain 400 invalid_request_error.
    return status == 400 and "credit balance is too low" in said.text.lower()


def _is_unknown_model(status: int, said: Said) -> bool:
    if "model_not_found" in said.kinds:
        return True
    return status in (400, 404) and bool(re.search(_NO_MODEL, said.text))


def _redirect(status: int, location: str, where: Where) -> ProviderError:
    target = location.partition("?")[0].partition("#")[0][:200]
    code = f" ({status})" if status else ""
    return BadRequest(
        _clean(f"{where.endpoint} sends us elsewhere{code}: {target or 'nowhere'}", where),
        hint="keys are never carried to another address: set base_url to the right one",
        **_common(where, status, Said()),
    )


def _says(sentence: str, said: Said, where: Where) -> str:
    return _clean(f"{sentence}: {said.text}" if said.text else sentence, where)


def _clean(text: str, where: Where) -> str:
    """``text`` without the key. A short one is taken out where it stands alone and holds a digit:
    a mere word is nobody's secret, and blanking it would make the sentence unreadable.
    """
    secret = where.secret
    if not secret:
        return text
    if len(secret) < _SURE:
        return _without_short(text, secret)
    text = text.replace(secret, "…")
    # A sentence may have been cut in the middle of the key.
    for size in range(min(len(secret) - 1, len(text)), _TELLING - 1, -1):
        if text.endswith(secret[:size]):
            return text[:-size] + "…"
    return text


def _without_short(text: str, secret: str) -> str:
    if len(secret) < 2 or not any(c.isdigit() for c in secret):
        return text
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])", "…", text)


def _common(where: Where, status: int, said: Said) -> Body:
    return {
        "endpoint": where.endpoint,
        "model": where.model,
        "status": status,
        "request_id": _clean(said.request_id, where),
    }


def _final(error: ProviderError) -> ProviderError:
    """The same error, not to be tried again by itself."""
    error.may_retry = False
    return error


def _causes(error: BaseException | None, depth: int = 8) -> Iterator[BaseException]:
    """The error and everything it came from, groups opened."""
    if error is None or depth == 0:
        return
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner, depth - 1)
    yield from _causes(error.__cause__ or error.__context__, depth - 1)
