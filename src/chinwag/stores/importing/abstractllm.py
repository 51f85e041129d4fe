"""AbstractLLM's session objects, and the archive its successor writes. Pure.

Invariants: the system prompt, kept twice there, is taken once. Tool results kept inside an answer
become results after it. Provider configuration is not taken; the model's name is kept with the
answers.
"""

from __future__ import annotations

from typing import Any

from chinwag.stores.importing.base import (
    Talk,
    Weaver,
    arguments,
    listing,
    mapping,
    moment,
    said,
    spelt,
    words,
)
from chinwag.stores.importing.messages import add, fingerprint
from chinwag.talk.message import AnyPart, Call

FORM = "abstractllm"
_ARCHIVE = "session-archive/"


def is_one(plain: dict[str, Any]) -> bool:
    version = words(plain.get("schema_version"))
    own = "provider_state" in plain or {"created_at", "last_updated"} <= set(plain)
    return isinstance(plain.get("messages"), list) and (version.startswith(_ARCHIVE) or own)


def read(plain: dict[str, Any]) -> Talk:
    """Raises Unreadable."""
    about = mapping(plain.get("session")) or plain
    items = listing(plain.get("messages"))
    # Sessions with one seed have one id there: how they begin tells them apart.
    weaver = Weaver(FORM, f"{words(about.get('id'))}/{fingerprint(items[:1])}")
    weaver.created = moment(about.get("created_at"))
    metadata = mapping(about.get("metadata"))
    weaver.title(
        next((metadata[k] for k in ("title", "session_name", "name") if k in metadata), "")
    )
    state = mapping(plain.get("provider_state"))
    provider = words(state.get("provider_name")) or words(about.get("provider"))
    model = words(state.get("model_name")) or words(about.get("model"))
    system = words(about.get("system_prompt"))
    if system:
        weaver.system(system, weaver.created)
    for item in items:
        if _says_again(item, system):
            continue
        _message(weaver, item, provider.lower(), model)
    return weaver.done()


def _says_again(item: object, system: str) -> bool:
    message = mapping(item)
    return bool(system) and message.get("role") == "system" and message.get("content") == system


def _message(weaver: Weaver, item: object, provider: str, model: str) -> None:
    message = mapping(item)
    results = [mapping(r) for r in listing(message.get("tool_results"))]
    metadata = mapping(message.get("metadata"))
    if message.get("role") == "tool":
        call = words(message.get("tool_call_id")) or words(metadata.get("call_id"))
        call = call or words(metadata.get("tool_call_id"))
        name = words(message.get("name")) or words(metadata.get("name"))
        text, at = spelt(message.get("content")), moment(message.get("timestamp"))
        weaver.tool(text, call, name or words(metadata.get("tool_name")), at=at)
        return
    if not results or message.get("role") != "assistant":
        calls = message.get("tool_calls") or metadata.get("tool_calls")
        add(
            weaver,
            [message | ({"tool_calls": calls} if calls else {})],
            model=model,
            provider=provider,
        )
        return
    _with_results(weaver, message, results, {"provider": provider, "model": model})


def _with_results(
    weaver: Weaver, message: dict[str, Any], results: list[dict[str, Any]], who: dict[str, str]
) -> None:
    """An answer that carries what its tools gave back: as calls, and results after it."""
    at = moment(message.get("timestamp"))
    calls: list[AnyPart] = []
    for n, result in enumerate(results):
        call_id = words(result.get("call_id")) or f"{weaver.spare_call()}-{n}"
        calls.append(
            Call(call_id, words(result.get("name")) or "tool", arguments(result.get("arguments")))
        )
    weaver.assistant((*said(words(message.get("content"))), *calls), at=at, **who)
    for call, result in zip(calls, results, strict=True):
        error = words(result.get("error"))
        output = error or spelt(result.get("output", result.get("result")))
        weaver.tool(output, call.id if isinstance(call, Call) else "", is_error=bool(error), at=at)
