"""What a server says of an error, in whichever shape it says it; pure.

Invariants: nothing that a body may hold makes reading it slow or fail: depth, length and size of
numbers are bounded. What a body says is only read here; what it means is `failures`' to judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

_STATUS_OF: Final = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "billing_error": 402,
    "insufficient_quota": 429,
    "not_found_error": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "overloaded_error": 529,
    "unavailable": 503,
    "unavailable_error": 503,
    "timeout_error": 504,
    "api_error": 500,
    "server_error": 500,
    "internal_server_error": 500,
    "internal": 500,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
}
_AGAIN_IN: Final = r"(?i)(?:try again|retry) in (?:(?P<m>\d+)m)?(?P<n>[\d.]+) ?(?P<unit>ms|s)\b"
# Bounded everywhere, and no two repeats side by side: a page may be written to be slow to read.
_TITLE: Final = rb"(?is)<title[^>]{0,100}>(.{1,300}?)</title>"
_WORDS: Final = 1000
"""The most characters of a server's own sentence: more says no more, and takes long to look at."""
_DIGITS: Final = 12
"""The most digits of a number worth believing; Python itself refuses to read very long ones."""


class Said(msgspec.Struct, frozen=True):
    """What an error body says, whichever of its shapes it has."""

    text: str = ""
    kinds: frozenset[str] = frozenset()
    status: int = 0
    request_id: str = ""
    asked: int = 0
    limit: int = 0
    wait: float | None = None


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds the server asks us to wait: `retry-after-ms`, then `retry-after` in either form."""
    if (milliseconds := _float(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if (seconds := _float(text)) is not None:
        return seconds
    from email.utils import parsedate_to_datetime  # dear, and seldom needed

    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def read_body(body: bytes) -> Said:
    """What an error body says: JSON of any of its shapes, a web page, plain words, or nothing."""
    if not body.strip():
        return Said()
    try:
        return read_object(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # not JSON, or of a depth that nobody means: a page or words
    if _is_page(body):
        return Said(text=title_of(body) or "a web page")
    return Said(text=body[:500].decode("utf-8", "replace").strip())


def read_object(value: object) -> Said:
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        return Said(text=value[:_WORDS])
    if not isinstance(value, dict):
        return Said()
    inner = value.get("error") or value.get("errors") or value
    if isinstance(inner, list):
        inner = inner[0] if inner else value
    if not isinstance(inner, dict):
        inner = {"message": _text_of(inner)}
    return _read(inner, value)


def _read(error: dict[str, Any], whole: dict[str, Any]) -> Said:
    kinds = frozenset(
        str(error[k]).lower()
        for k in ("type", "code", "status", "reason")
        if isinstance(error.get(k), str)
    )
    text = _words_of(error)
    return Said(
        text=text,
        kinds=kinds | _reasons(error),
        status=_status_in(error, kinds),
        request_id=_text_of(whole.get("request_id") or "")[:200],
        asked=_int(error.get("n_prompt_tokens")),
        limit=_int(error.get("n_ctx")),
        wait=_wait_in(error, text),
    )


def _words_of(error: dict[str, Any]) -> str:
    """The server's sentence; OpenRouter keeps the upstream's own words in its metadata."""
    for key in ("message", "detail", "error_description", "msg", "title"):
        if error.get(key):
            text = _text_of(error[key])
            break
    else:
        text = ""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str) or not raw:
        return text
    inner = read_body(raw.encode("utf-8", "replace")).text
    return (f"{text}: {inner}" if text else inner)[:_WORDS]


def _text_of(value: object) -> str:
    """``value`` in words, where it is no words already; nothing where it is nested without end."""
    try:
        return str(value)[:_WORDS]
    except (RecursionError, ValueError):  # ValueError: a number of more digits than Python writes
        return ""


def _reasons(error: dict[str, Any]) -> frozenset[str]:
    details = error.get("details")
    inner = error.get("innererror")
    listed = details if isinstance(details, list) else ()
    found = [d.get("reason") for d in listed if isinstance(d, dict)]
    if isinstance(inner, dict):
        found.append(inner.get("code"))
    return frozenset(r.lower() for r in found if r and isinstance(r, str))


def _status_in(error: dict[str, Any], kinds: frozenset[str]) -> int:
    for key in ("status_code", "code", "status"):
        value = _int(error.get(key))
        if 400 <= value < 600:
            return value
    return next((_STATUS_OF[k] for k in sorted(kinds) if k in _STATUS_OF), 0)


def _wait_in(error: dict[str, Any], text: str) -> float | None:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (seconds := _float(delay.removesuffix("s"))) is not None:
            return seconds
    if not (found := re.search(_AGAIN_IN, text)):
        return None
    seconds = (_float(found["n"]) or 0.0) / (1000 if found["unit"].lower() == "ms" else 1)
    return seconds + 60 * digits(found["m"])


def _is_page(body: bytes) -> bool:
    return body.lstrip()[:1] == b"<"


def title_of(body: bytes) -> str:
    found = re.search(_TITLE, body[:65536])
    return " ".join(found[1].decode("utf-8", "replace").split()) if found else ""


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None


def _int(value: object) -> int:
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return value if abs(value) < 10**_DIGITS else 0
    return digits(value) if isinstance(value, str) and value.isdecimal() else 0


def digits(text: str | None) -> int:
    digits = (text or "").replace(",", "")
    return int(digits) if digits and len(digits) <= _DIGITS else 0
