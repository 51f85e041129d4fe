"""Views of a session for programs: messages, plain dicts, a provider's own form. Pure.

Invariants: a view changes nothing and shares nothing that could be changed. ``messages`` is what
was said (the system prompt first, where there is one); answers of which nothing came are no
messages. What `from_dicts` reads from `to_dicts` gives the same dicts again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chinwag.commands.export import to_openai
from chinwag.engine.request import build
from chinwag.errors import UsageError, nearest
from chinwag.providers.base import Options, Profile
from chinwag.providers.catalog import DIALECTS, ROWS
from chinwag.providers.dialects.base import Dialect, Endpoint
from chinwag.stores.importing.base import Unreadable
from chinwag.talk import codec
from chinwag.talk.entry import (
    AnyEntry,
    AssistantSaid,
    Cleared,
    SystemSet,
    ToolReturned,
    UserSaid,
    message_of,
)
from chinwag.talk.message import Message
from chinwag.talk.session import Session, fold
from chinwag.talk.shown import Placed


def said(session: Session) -> list[Placed]:
    """What was said since the last clear, with positions."""
    return [
        (n, entry)
        for n, entry in session.said()
        if not isinstance(entry, AssistantSaid) or entry.parts
    ]


def messages(session: Session, system: str) -> list[Message]:
    prompt = [Message.system(system)] if system else []
    return [*prompt, *(message_of(entry) for _, entry in said(session))]


def last(session: Session) -> Message | None:
    """The newest message that was said; None when nobody has said anything. O(1) mostly."""
    for _, entry in session.back():
        if isinstance(entry, Cleared):
            return None
        if isinstance(entry, UserSaid | ToolReturned | AssistantSaid):
            message = message_of(entry)
            if message.parts:
                return message
    return None


def position(session: Session, system: str, which: int) -> int:
    """The entry number of ``messages[which]``. Raises UsageError."""
    placed = said(session)
    prompt = bool(system)
    at = which + len(placed) + prompt if which < 0 else which
    if prompt and at == 0:
        raise UsageError("the system prompt is always sent", hint="pin or exclude what was said")
    if not prompt <= at < len(placed) + prompt:
        raise UsageError(
            f"there is no message {which}", hint=f"there are {len(placed) + prompt}: chat.messages"
        )
    return placed[at - prompt][0]


# -- plain dicts ----------------------------------------------------------------------------------


def with_system(session: Session, system: str) -> Session:
    """A session that has not begun yet, with the prompt it will begin with."""
    return fold(session, SystemSet(text=system)) if system and not len(session) else session


def to_dicts(session: Session, system: str) -> list[dict[str, Any]]:
    """Messages as OpenAI has them: role, content, tool_calls, tool_call_id; nothing else (F051)."""
    plain = codec.loads(to_openai(with_system(session, system)))
    return [_lean(item) for item in plain["messages"]]


def _lean(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if value is not None}


def entries_of(items: Iterable[Any]) -> tuple[AnyEntry, ...]:
    """What such dicts say, as entries. Raises UsageError naming the message that cannot be read."""
    plain = [dict(item) if isinstance(item, Mapping) else item for item in items]
    if all(isinstance(item, dict) and item.get("role") == "system" for item in plain):
        return tuple(SystemSet(text=str(item.get("content", ""))) for item in plain)
    from chinwag.stores.importing.messages import read_list

    try:
        return read_list(plain).entries
    except Unreadable as error:
        raise UsageError(
            f"these messages cannot be read: {error}",
            hint='each is a dict such as {"role": "user", "content": "hello"}',
        ) from None


# -- as a provider is told ------------------------------------------------------------------------


def body_for(session: Session, system: str, form: str, model: str) -> dict[str, Any]:
    """The request ``form`` would be sent: a wire format, or a provider's name (F079).

    Raises UsageError for a form there is not.
    """
    dialect = _dialect(_dialect_name(form))
    session = with_system(session, system)
    request = build(session, model=model, profile=Profile(), options=Options())
    endpoint = Endpoint(name=form, base_url="http://localhost/v1")
    body = codec.loads(dialect.encode(request, endpoint).body)
    return dict(body)


def messages_for(session: Session, system: str, form: str, model: str) -> list[dict[str, Any]]:
    """The messages in that request. Where a format has its prompt elsewhere it is not among them.

    Raises UsageError.
    """
    body = body_for(session, system, form, model)
    found: Sequence[Any] = next(
        (body[name] for name in ("messages", "contents", "input") if name in body), ()
    )
    return list(found)


def _dialect_name(form: str) -> str:
    word = form.strip().lower()
    if word in DIALECTS:
        return word
    by_provider = {row.name: row.dialect for row in ROWS}
    if word in by_provider:
        return by_provider[word]
    near = nearest(word, [*DIALECTS, *by_provider])
    raise UsageError(
        f"no provider or wire format is called {form!r}",
        hint=f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(DIALECTS)}",
    )


def _dialect(name: str) -> Dialect:
    """The dialect by name; each is imported when it is first spoken."""
    from importlib import import_module

    module = import_module(f"chinwag.providers.dialects.{name}")
    made: Dialect = getattr(module, _CLASSES[name])()
    return made


_CLASSES = {
    "openai": "OpenAI",
    "responses": "Responses",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "ollama": "Ollama",
    "llamacpp": "LlamaCpp",
}
